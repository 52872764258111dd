// Buttons that copy the text of a field (data-copy: its id) and say so.

async function copy(field) {
  field.select();
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(field.value);
      return true;
    } catch {
      // Refused: the old way below needs no permission.
    }
  }
  return document.execCommand("copy"); // pages without https have no clipboard
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const copied = await copy(document.getElementById(button.dataset.copy));
  button.closest("section").querySelector("[data-copied]").textContent = copied
    ? button.dataset.done
    : button.dataset.failed;
});
