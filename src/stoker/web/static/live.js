// Keeps a page up to date: the server reports a change, and the browser requests the page again.
const RETRY_MILLISECONDS = 5000;
// The server sends an event every 15 seconds. A stream that is silent for longer is dead, even without an error.
const SILENCE_MILLISECONDS = 45000;

let source = null;
let over = false;
let wanted = false;
let looking = false;
let silence = null;

// Only visible tabs follow: over HTTP/1.1 a browser has six connections to a server, for all of its tabs.
function follow() {
  source?.close();
  source = null;
  clearTimeout(silence);
  if (over || document.hidden) return;
  const opened = new EventSource(`${location.pathname.replace(/\/$/, "")}/events`);
  source = opened;
  listen();
  opened.addEventListener("nothing", listen);
  opened.addEventListener("changed", () => {
    listen();
    look();
  });
  opened.addEventListener("end", () => {
    over = true;
    follow();
    look();
  });
  opened.addEventListener("error", () => {
    // Browsers reopen a stream that breaks, but not one that is refused.
    if (opened.readyState === EventSource.CLOSED && source === opened) pause().then(follow);
  });
}

function listen() {
  clearTimeout(silence);
  silence = setTimeout(follow, SILENCE_MILLISECONDS);
}

function pause() {
  return new Promise((done) => setTimeout(done, RETRY_MILLISECONDS * (1 + Math.random())));
}

// One look at a time; whatever is said meanwhile makes one more.
async function look() {
  wanted = true;
  if (looking) return;
  looking = true;
  while (wanted) {
    wanted = false;
    if (!(await refresh().catch(() => false))) {
      await pause();
      wanted = true;
    }
  }
  looking = false;
}

// Whether the page is as new as the server's.
async function refresh() {
  const answer = await fetch(location.href, { credentials: "same-origin" });
  if (answer.status === 429 || answer.status >= 500) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = document.getElementById("live");
  const next = page.getElementById("live");
  if (!now || !next) {
    // It is no longer shown to this reader: let the page itself say so.
    over = true;
    follow();
    location.reload();
    return true;
  }
  const followed = [...now.querySelectorAll(".log")].filter(isAtItsEnd);
  update(now, next);
  for (const log of followed) log.scrollTop = log.scrollHeight;
  document.title = page.title;
  return true;
}

function isAtItsEnd(log) {
  return log.scrollHeight > log.clientHeight && log.scrollHeight - log.scrollTop - log.clientHeight < 5;
}

// Makes an element like another one and keeps all that is the same, so that focus, selections and scrolling stay.
function update(now, next) {
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.data !== next.data) now.data = next.data;
    return;
  }
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name) && !isReaders(now, name)) now.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value && !isReaders(now, name)) now.setAttribute(name, value);
  }
  const keys = new Set([...next.children].map(key));
  for (const child of [...now.children]) {
    if (key(child) && !keys.has(key(child))) child.remove();
  }
  let place = now.firstChild;
  for (const wanted of [...next.childNodes]) {
    const same = sameChild(place, wanted);
    if (!same) {
      now.insertBefore(document.adoptNode(wanted), place);
      continue;
    }
    while (place !== same) place = removed(place);
    update(same, wanted);
    place = same.nextSibling;
  }
  while (place) place = removed(place);
}

// Whether a reader opened or closed it: that stays as it is.
function isReaders(element, attribute) {
  return element.localName === "details" && attribute === "open";
}

// What tells an element from its siblings, if anything does: its id, or its heading's.
function key(node) {
  return (node.nodeType === Node.ELEMENT_NODE && (node.id || node.getAttribute("aria-labelledby"))) || "";
}

// Which of these siblings the wanted one is a newer version of: the one with its key, or the very next if it has none.
function sameChild(place, wanted) {
  const wantedKey = key(wanted);
  let sibling = place;
  while (wantedKey && sibling && key(sibling) !== wantedKey) sibling = sibling.nextSibling;
  return sibling && key(sibling) === wantedKey && sibling.nodeName === wanted.nodeName ? sibling : null;
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

document.addEventListener("visibilitychange", follow);
follow();
