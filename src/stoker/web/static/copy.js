// A button beside each field that is there to be copied. Without it, people select the field themselves.
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
    try {
      await navigator.clipboard.writeText(field.value);
      said.textContent = "Copied";
    } catch {
      // Over plain http browsers have no clipboard for pages.
      said.textContent = "Selected; copy it with the keyboard";
    }
  });
  const beside = document.createElement("div");
  beside.className = "beside";
  field.replaceWith(beside);
  beside.append(field, button, said);
  field.select();
}
