// Keeps durations of running things ticking, from the server's last value: the browser's clock may be wrong.
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

const seen = new WeakMap();

// Formats like the server's own pages (formats.py).
export function duration(seconds) {
  if (Number(seconds.toFixed(1)) < 10) return `${Math.max(seconds, 0).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return two(whole, MINUTE, "min", 1, "s");
  if (whole < DAY) return two(whole, HOUR, "h", MINUTE, "min");
  return two(whole, DAY, "d", HOUR, "h");
}

function two(whole, large, largeName, small, smallName) {
  const second = Math.floor((whole % large) / small);
  const first = `${Math.floor(whole / large)} ${largeName}`;
  return second ? `${first} ${second} ${smallName}` : first;
}

function count() {
  const now = performance.now();
  for (const element of document.querySelectorAll("[data-running]")) {
    const said = element.dataset.running;
    // A new value of the server restarts the count.
    if (seen.get(element)?.said !== said) seen.set(element, { said, at: now });
    else if (!document.hidden) element.firstChild.data = duration(Number(said) + (now - seen.get(element).at) / 1000);
  }
}

count();
setInterval(count, 1000);
