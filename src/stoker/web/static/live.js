// Keeps a build's page up to date: the server says that something changed, and the page is asked for again.
const source = new EventSource(`${location.pathname}/events`);

async function refresh() {
  const answer = await fetch(location.href, { credentials: "same-origin" });
  if (answer.status === 429 || answer.status >= 500) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = document.getElementById("live");
  const next = page.getElementById("live");
  if (!now || !next) {
    // It is no longer shown to this reader: let the page itself say so.
    source.close();
    location.reload();
    return;
  }
  const focused = document.activeElement?.id;
  for (const details of now.querySelectorAll("details[id]")) {
    const same = next.querySelector(`#${details.id}`);
    if (same) same.open = details.open;
  }
  for (const input of now.querySelectorAll("input[id]")) {
    const same = next.querySelector(`#${input.id}`);
    if (same) same.value = input.value;
  }
  now.replaceWith(document.adoptNode(next));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

let busy = Promise.resolve();
source.addEventListener("changed", () => {
  busy = busy.then(refresh).catch(() => {});
});
source.addEventListener("end", () => {
  source.close();
  busy = busy.then(refresh).catch(() => {});
});
