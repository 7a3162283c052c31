// Keeps a page up to date: the server reports a change, and the browser requests the page again.
import { refresh } from "/static/update.js";

const RETRY_MILLISECONDS = 5000;
// The server sends an event every 15 seconds. A stream that is silent for longer is dead, even without an error.
const SILENCE_MILLISECONDS = 45000;
const LOST = "Live updates are interrupted. The page tries again by itself.";

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
  opened.addEventListener("nothing", hear);
  opened.addEventListener("changed", () => {
    hear();
    look();
  });
  opened.addEventListener("end", () => {
    hear();
    over = true;
    follow();
    look();
  });
  opened.addEventListener("error", () => {
    if (source !== opened) return;
    say(LOST);
    // Browsers reopen a stream that breaks, but not one that is refused.
    if (opened.readyState === EventSource.CLOSED) pause().then(follow);
  });
}

function hear() {
  say("");
  listen();
}

function listen() {
  clearTimeout(silence);
  silence = setTimeout(() => {
    say(LOST);
    follow();
  }, SILENCE_MILLISECONDS);
}

function say(words) {
  const place = document.getElementById("stream");
  if (place && place.textContent !== words) place.textContent = words;
}

function pause() {
  return new Promise((done) => setTimeout(done, RETRY_MILLISECONDS * (1 + Math.random())));
}

// One look at a time; whatever is said meanwhile makes one more.
async function look() {
  wanted = true;
  // What is searched stays as it is.
  if (looking || document.getElementById("live")?.hasAttribute("data-still")) return;
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

document.addEventListener("gone", () => {
  over = true;
  follow();
});
document.addEventListener("visibilitychange", follow);
follow();
