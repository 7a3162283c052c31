// Makes the page like a newer one of the server, where it differs.

// Whether the page is as new as the server's.
export async function refresh() {
  const address = location.href;
  const answer = await fetch(address, { credentials: "same-origin" });
  if (answer.status === 429 || answer.status >= 500) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  // Meanwhile the reader asked for another part of it.
  if (location.href !== address) return refresh();
  const now = document.getElementById("live");
  const next = page.getElementById("live");
  if (!now || !next) {
    // It is no longer shown to this reader: let the page itself say so.
    document.dispatchEvent(new Event("gone"));
    location.reload();
    return true;
  }
  // A step's own page follows its log in a way of its own (log.js).
  const followed = [...now.querySelectorAll(".log:not(#log)")].filter(isAtItsEnd);
  update(now, next);
  for (const log of followed) log.scrollTop = log.scrollHeight;
  document.title = page.title;
  document.dispatchEvent(new Event("updated"));
  return true;
}

export function isAtItsEnd(log) {
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

// Whether a reader changed it, by opening, closing or pressing: that stays as it is.
function isReaders(element, attribute) {
  return (element.localName === "details" && attribute === "open") || attribute === "aria-pressed";
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
