// Copy buttons: beside each field that is there to be copied, and those of the page. Without JavaScript, people select
// the text themselves.
const SHOWN_MILLISECONDS = 1500;

for (const field of document.querySelectorAll("input.copied")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small second";
  button.textContent = "Copy";
  const said = document.createElement("span");
  said.className = "quiet";
  said.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    field.select();
    said.textContent = (await copied(field.value)) ? "Copied" : "Selected; copy it with the keyboard";
  });
  const beside = document.createElement("div");
  beside.className = "beside";
  field.replaceWith(beside);
  beside.append(field, button, said);
  field.select();
}

// Outside of what live.js replaces.
const told = document.createElement("p");
told.className = "hidden";
told.setAttribute("role", "status");
document.body.append(told);
document.documentElement.classList.add("can-copy");

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button.copy");
  if (!button) return;
  const text = button.previousElementSibling;
  if (await copied(button.dataset.copy)) {
    told.textContent = `Copied ${button.dataset.copy}`;
    button.classList.add("is-done");
    setTimeout(() => button.classList.remove("is-done"), SHOWN_MILLISECONDS);
  } else {
    getSelection().selectAllChildren(text);
    told.textContent = "Selected; copy it with the keyboard";
  }
});

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Over plain http browsers have no clipboard for pages.
    return false;
  }
}
