// Mouse and finger: buttons by their action, the scale, and whatever is filled in.

export function listenToClicks(root, page) {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (button) {
      page.actions[button.dataset.act](button);
      return;
    }
    const option = event.target.closest(".scale-option");
    if (option && !(event.target instanceof HTMLInputElement)) {
      event.preventDefault();
      if (page.isBlocked()) return;
      option.querySelector("input").checked = true;
      page.chosen();
    }
  });
  for (const kind of ["input", "change"]) {
    root.addEventListener(kind, (event) => {
      if (!page.hasOne() || event.target.id === "note-text") return;
      page.changed(Boolean(event.target.closest("#stage, .lanes")));
    });
  }
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "answer-form") return;
    event.preventDefault();
    page.submit();
  });
}
