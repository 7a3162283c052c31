// A step's log: following its end, lines to link to, and keys. Without it, all but following works by links and forms.
import { isAtItsEnd, refresh } from "/static/update.js";
import "/static/keys.js";

// Addresses of lines: #L10, #L10-L20, and those of before.
const LINES = /^#(?:step-\d+-line-|L)(\d+)(?:-L?(\d+))?$/;

let following = false;
let begun = null;

const log = () => document.getElementById("log");
const follower = () => document.getElementById("follow");

// Whether the page shows the end of the log, whatever is added to it.
function isTail() {
  const asked = new URLSearchParams(location.search);
  return !asked.has("line") && !asked.has("q");
}

function follow(wanted) {
  following = wanted;
  follower()?.setAttribute("aria-pressed", String(following));
  if (following && log()) log().scrollTop = log().scrollHeight;
}

// The first and the last line that the address names, if it names any.
function named() {
  const found = LINES.exec(location.hash);
  if (!found) return null;
  const lines = [Number(found[1]), Number(found[2] ?? found[1])];
  return [Math.min(...lines), Math.max(...lines)];
}

function mark() {
  const lines = named();
  if (!lines) return;
  for (const line of document.querySelectorAll("#log li")) {
    const number = Number(line.id.slice(1));
    line.classList.toggle("marked", lines[0] <= number && number <= lines[1]);
  }
}

// Shows the lines of the address, in another part of the log if they are there.
async function show() {
  const lines = named();
  if (!lines) {
    document.querySelector("#log .current, #log .marked")?.scrollIntoView({ block: "center" });
    return;
  }
  if (!document.getElementById(`L${lines[0]}`)) {
    history.replaceState(null, "", addressOf(...lines));
    if (!(await refresh().catch(() => false))) location.reload();
  }
  mark();
  document.getElementById(`L${lines[0]}`)?.scrollIntoView({ block: "center" });
}

function addressOf(first, last) {
  const query = new URLSearchParams(location.search);
  query.set("line", first === last ? first : `${first}-${last}`);
  return `?${query}#L${first}${first === last ? "" : `-L${last}`}`;
}

// Where a link leads to. Those that only change how the log is shown keep the lines that were chosen since they came.
function wantedBy(link) {
  const wanted = new URL(link.href);
  if (link.dataset.here !== "view") return wanted;
  const view = new URL(location.href);
  for (const name of ["wrap", "times"]) {
    if (wanted.searchParams.has(name)) view.searchParams.set(name, wanted.searchParams.get(name));
    else view.searchParams.delete(name);
  }
  return view;
}

// Goes to another part or view of the page without leaving it.
async function go(address) {
  history.replaceState(null, "", address);
  if (!(await refresh().catch(() => false))) location.reload();
  await show();
}

// Marks a line, or with Shift all from the one before to this one.
function choose(number, extends_) {
  begun = (extends_ && (begun ?? named()?.[0])) || number;
  history.replaceState(null, "", addressOf(Math.min(begun, number), Math.max(begun, number)));
  follow(false);
  mark();
}

function move(by) {
  const lines = [...document.querySelectorAll("#log li > a")];
  const at = lines.indexOf(document.activeElement);
  const box = log()?.getBoundingClientRect();
  const first = lines.findIndex((line) => line.getBoundingClientRect().top >= box.top);
  lines[at < 0 ? Math.max(first, 0) : Math.min(Math.max(at + by, 0), lines.length - 1)]?.focus();
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.altKey) return;
  const line = event.target.closest("#log li > a");
  const link = event.target.closest("a[data-here]");
  if (line) {
    event.preventDefault();
    choose(Number(line.parentElement.id.slice(1)), event.shiftKey);
  } else if (link && !event.shiftKey) {
    event.preventDefault();
    const wanted = wantedBy(link);
    if (wanted.hash || wanted.searchParams.has("line")) follow(false);
    go(wanted.href);
  } else if (event.target.closest("#follow")) {
    const isWanted = !following;
    if (isWanted) history.replaceState(null, "", follower().dataset.end);
    follow(isWanted);
    if (isWanted) go(location.href);
  }
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-here]")) return;
  event.preventDefault();
  follow(false);
  const asked = new URLSearchParams(new FormData(event.target));
  const line = asked.get("line");
  go(`${location.pathname}?${asked}${line ? `#L${line.replace("-", "-L")}` : ""}`);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.key !== "j" && event.key !== "k") return;
  event.preventDefault();
  move(event.key === "j" ? 1 : -1);
});

// Scrolling away from the end stops following it, and scrolling there follows it.
document.addEventListener(
  "scroll",
  (event) => {
    if (event.target === log() && follower() && isTail() && isAtItsEnd(log()) !== following) follow(!following);
  },
  true,
);
document.addEventListener("updated", () => {
  mark();
  follow(following);
});
window.addEventListener("hashchange", show);

document.documentElement.classList.add("scripts");
if (location.hash || location.search) show();
if (!location.hash && isTail()) follow(Boolean(document.getElementById("running")));
