// What of the page is to be seen: the comparison or one of the notices in its place, and the line that
// says what happened.

const NOTICES = ["nothing", "loading", "unreachable", "paused"];

const clockTime = new Intl.DateTimeFormat(document.documentElement.lang || "en", {
  hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});

export const byId = (id) => document.getElementById(id);

export function say(sentence, kind = "") {
  const status = byId("status");
  status.textContent = sentence;
  status.className = `status ${kind && `status-${kind}`}`;
}

// A notice by its name, or "" for the comparison.
export function showOnly(name) {
  for (const other of NOTICES) byId(other).hidden = other !== name;
  const hasOne = name === "";
  byId("stage-place").hidden = byId("answer-place").hidden = !hasOne;
  byId("foot-actions").hidden = !hasOne;
  drawSignIn();
}

// Why there is nothing: no work, or none for this person until `askedAt`.
export function showNothing(askedAt) {
  showOnly("nothing");
  const time = byId("nothing").querySelector("[data-again]");
  if (askedAt) {
    time.dateTime = askedAt.toISOString();
    time.textContent = clockTime.format(askedAt);
  }
  for (const node of document.querySelectorAll("[data-asked]")) {
    node.hidden = (node.dataset.asked === "no") !== Boolean(askedAt);
  }
}

export function isPaused() {
  return !byId("paused").hidden;
}

// Who is paused sees why; what is on the screen and not sent stays for when it is lifted.
export function showPause(reason, sentence) {
  const isNew = !isPaused();
  byId("paused").querySelector("[data-reason]").textContent = reason;
  showOnly("paused");
  if (!isNew) return;
  say(sentence, "warn");
  byId("paused").focus();
}

let isSignInOffered = false;

export function offerSignIn(isOffered) {
  isSignInOffered = isOffered;
  drawSignIn();
}

// The notice has a link of its own: then the one at the foot is not needed.
function drawSignIn() {
  for (const link of document.querySelectorAll("[data-sign-in]")) link.hidden = !isSignInOffered;
  if (!byId("unreachable").hidden) byId("sign-in-again").hidden = true;
  for (const node of document.querySelectorAll("[data-connected]")) {
    node.hidden = (node.dataset.connected === "signed-out") !== isSignInOffered;
  }
}

export function leaveText() {
  (byId("task-heading") ?? byId("main")).focus({ preventScroll: true });
}

// What stands around the comparison depends on its form: keys, rows of the legend, buttons.
export function fitToForm(form, keys) {
  const names = { "all-bad": "allBad", flags: "flags", improve: "improve", guidelines: "guidelines" };
  for (const kbd of document.querySelectorAll("[data-key-of]")) kbd.textContent = keys[names[kbd.dataset.keyOf]];
  for (const row of document.querySelectorAll("[data-for]")) {
    row.hidden = !row.dataset.for.split(" ").includes(form);
  }
}

// Examples and reference are open or folded as they were left.
export function rememberFolds(stage, store) {
  for (const details of stage.querySelectorAll("details[data-remember]")) {
    const name = details.dataset.remember;
    const opensByItself = name === "examples" && !matchMedia("(max-width: 48rem)").matches;
    details.open = store.get(name, opensByItself);
    details.addEventListener("toggle", () => store.set(name, details.open));
  }
}
