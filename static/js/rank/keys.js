// The keyboard. Single keys work everywhere but in text boxes; nothing happens within an input method.

const IN_TEXT = "textarea, select, input:not([type=radio], [type=checkbox])";
const PRESSED_BY_ENTER = "button, a, summary";

export function listenToKeys(page) {
  document.addEventListener("keydown", (event) => {
    // Enter, Escape and digits that choose a candidate belong to the input method (229: older browsers).
    if (event.isComposing || event.keyCode === 229) return;
    if (handle(event, page)) event.preventDefault();
  });
}

function handle(event, page) {
  const { target, repeat } = event;
  const key = event.key.toLowerCase();
  const isEnter = key === "enter";
  if (page.isCovered()) return false; // a dialog has the keyboard
  if (isEnter && (event.ctrlKey || event.metaKey)) {
    if (!repeat && target.id === "note-text") return run(page, "note-send");
    if (!repeat) page.submit();
    return true;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  if (page.isBlocked()) return isEnter && !target.matches(PRESSED_BY_ENTER) ? run(page, "guidelines-read") : false;
  if (key === "escape") return run(page, "close");
  if (target.matches(IN_TEXT)) {
    return isEnter && target.id === "reason-text" && !repeat ? run(page, "cannot") : false;
  }
  if (repeat) return false;
  if (isEnter) return enter(target, page);
  return single(key, page);
}

function enter(target, page) {
  if (target.matches(PRESSED_BY_ENTER)) return false;
  if (target.name === "reason") return run(page, "cannot");
  page.submit();
  return true;
}

function single(key, page) {
  const keys = page.keys();
  const everywhere = { z: "undo", l: "latest", o: "note", "?": "legend", [keys.guidelines ?? "g"]: "guidelines" };
  if (key in everywhere) return run(page, everywhere[key]);
  if (!page.hasOne()) return false;
  const here = {
    [keys.allBad]: "all-bad",
    [keys.flags]: "panel-flags",
    [keys.improve]: "panel-improve",
    w: "panel-why",
    x: "panel-cannot",
    s: "whole",
    y: "together",
    ...(keys.differences && { [keys.differences]: "differences" }),
  };
  if (key in here) return run(page, here[key]);
  if (key === "t") {
    page.toggleExamples();
    return true;
  }
  return page.answer(key);
}

function run(page, act) {
  page.actions[act]();
  return true;
}
