// Deciding by keyboard: a choice's key chooses it, Enter saves (as in every form), n goes on to the next.

const form = document.getElementById("decision-form");
const next = document.getElementById("next-disagreement");

/** Whether the person is writing, or picking from a list: its keys are not ours. */
function isWriting(element) {
  return element.matches("textarea, select, input:not([type=radio], [type=checkbox])");
}

addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
  const key = event.key.toLowerCase();
  const choice = form && [...form.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  if (choice) {
    choice.checked = true;
    choice.focus();
  } else if (key === "n" && next) {
    next.click();
  } else return;
  event.preventDefault();
});
