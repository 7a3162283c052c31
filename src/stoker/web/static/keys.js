// Keys of a page: each is the aria-keyshortcuts of what it focuses or clicks.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const meant = [...document.querySelectorAll("[aria-keyshortcuts]")].find(
    (element) => element.getAttribute("aria-keyshortcuts") === event.key,
  );
  if (!meant) return;
  event.preventDefault();
  if (meant.localName === "input") {
    meant.focus();
    meant.select();
  } else meant.click();
});
