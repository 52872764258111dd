// The ranking page: puts comparisons on the screen, listens to keys and clicks, hands judgments to the
// outbox. What is said beside the answer is in extras.js, the answers in pair.js and cards.js, taking
// back and leaving to others in second.js.

import { Feedback, fillOnOpening, Latest, Note } from "./beside.js";
import { Cards } from "./cards.js";
import { listenToClicks } from "./clicks.js";
import { Clock } from "./clock.js";
import { showDifferences } from "./difference.js";
import { Drafts } from "./drafts.js";
import { Extras } from "./extras.js";
import { Guidelines } from "./guidelines.js";
import { listenToKeys } from "./keys.js";
import { LongTexts } from "./long.js";
import { Outbox } from "./outbox.js";
import { Pair } from "./pair.js";
import { byId, fitToForm, isPaused, leaveText, offerSignIn, rememberFolds, say, showNothing, showOnly, showPause } from "./screen.js";
import { SecondThoughts } from "./second.js";
import { SignedOut } from "./server.js";
import { Store } from "./store.js";
import { Supply } from "./supply.js";
import { Today } from "./today.js";
import { fillIn, readWords } from "./words.js";

const root = document.getElementById("rank");
const urls = root.dataset;
const words = readWords();
const store = new Store(`prefloop:${urls.user}:${urls.project}:`);
const drafts = new Drafts(store);
const clock = new Clock();
const today = new Today(byId("today"));
const guidelines = new Guidelines(store, () => byId("task-heading")?.focus());

let answer = null; // the Pair or Cards on the screen
let extras = null;
let wasOffline = false;

const outbox = new Outbox(store, urls.submit, {
  sent({ what }, reply) {
    byId("undo").disabled = false;
    offerSignIn(false);
    if (reply.feedback) feedback.show(reply.feedback);
    if (wasOffline && !outbox.entries.length) {
      wasOffline = false;
      say(words.sentLater, "good");
      if (!supply.current) supply.fill();
    } else if (!wasOffline) {
      say(fillIn(words.saved, { what }), "good");
    }
  },
  refused({ what }, message) {
    today.add(-1);
    say(fillIn(words.refused, { why: message || words.gone, what }), "bad");
  },
  waiting(count, isSignedOut) {
    wasOffline = true;
    offerSignIn(isSignedOut);
    const sentence = fillIn(isSignedOut ? words.keptSignedOut : words.kept, { n: count });
    say(store.isLasting ? sentence : `${sentence} ${words.notStorable}`, "warn");
  },
  paused: pause,
});

const supply = new Supply(urls, Number(urls.lease), outbox, {
  arrived() {
    offerSignIn(false);
    if (!supply.current) advance();
    else if (isPaused()) goOn();
  },
  empty(askedAt) {
    if (!supply.current) showNothing(askedAt);
    else if (isPaused()) goOn();
  },
  unreachable(error) {
    offerSignIn(error instanceof SignedOut);
    if (!supply.current) showOnly("unreachable");
  },
  paused: pause,
  counted(progress) {
    today.set(progress, outbox.entries.length);
  },
  lost() {
    say(words.lost, "warn");
  },
});

const second = new SecondThoughts({ urls, words, outbox, supply, drafts, today }, { back: present, left: advance });
const feedback = new Feedback({
  opened: () => clock.hold(true),
  closed: () => clock.hold(false),
});
const latest = new Latest(urls.latest, words);
const note = new Note(store, urls.note, words, { said: say, closed: leaveText });
const long = new LongTexts(store, () => {
  const button = document.querySelector("[data-act=together]");
  button.hidden = !long.canScrollTogether;
  button.setAttribute("aria-pressed", String(long.isTogether));
});
fillOnOpening(document.querySelector(".today-menu"), urls.progress, words);

// ---- the screen ----

// A pause, and its end: what is on the screen and not sent is there again.
function pause(reason) {
  showPause(reason, words.pausedKept);
}

function goOn() {
  showOnly("");
  say("");
  leaveText();
}

function present(item, given = null) {
  byId("stage-place").replaceChildren(item.stage);
  byId("answer-place").replaceChildren(item.answer);
  setUp(item);
  answer.clear();
  extras.fill({});
  extras.close();
  const earlier = given ?? drafts.get(item.id);
  if (earlier) {
    answer.fill(earlier);
    extras.fill(earlier);
  }
  refresh();
  scrollTo({ top: 0 });
  if (guidelines.isOpen) guidelines.focus();
  else byId("task-heading").focus({ preventScroll: true });
}

function setUp(item) {
  showOnly("");
  root.dataset.form = item.form;
  answer = new (item.form === "pairwise" ? Pair : Cards)(item.stage, item.answer, words);
  extras = new Extras(item.stage, item.answer);
  fitToForm(item.form, answer.keys);
  markDifferences(item.form === "pairwise" && store.get("differences", false));
  rememberFolds(item.stage, store);
  long.watch(item.stage);
  clock.restart();
}

function refresh() {
  const filled = extras.filled;
  for (const button of document.querySelectorAll("#foot-actions [aria-controls]")) {
    const id = button.getAttribute("aria-controls");
    button.setAttribute("aria-expanded", String(extras.open?.id === id));
    button.classList.toggle("is-filled", Boolean(filled[id]));
  }
  const { flags } = extras.read();
  for (const signs of document.querySelectorAll("[data-signs]")) {
    const given = flags[signs.closest("[data-completion]").dataset.completion] ?? [];
    signs.textContent = given.length ? `⚑ ${words.flagged}` : "";
  }
  const submit = document.querySelector("#answer .submit");
  if (answer instanceof Pair) submit.hidden = !answer.choice && !extras.asksRatings;
}

function draft() {
  if (supply.current) drafts.set(supply.current.id, { ...answer.read(), ...extras.read() });
}

// ---- what a person does ----

// A choice submits if the project asks for nothing more, and nothing more is being said.
function chosen() {
  draft();
  refresh();
  if (extras.asksRatings || extras.isBusy) say(words.enterToSubmit);
  else submit();
}

// Something was filled in; if it was a place, the next step is told.
function changed(isPlace) {
  draft();
  refresh();
  if (isPlace) say(answer.problem() || words.enterToSubmit);
}

function submit(verdict = "ranked") {
  if (!supply.current || guidelines.isBlocking || isPaused()) return;
  if (verdict === "all_bad" && !urls.allBad) return;
  const given = { verdict, ...answer.read(), ...extras.read() };
  const problem = {
    ranked: () => answer.problem() || (extras.lacksRatings ? words.rateAll : ""),
    all_bad: () => "",
    cannot_judge: () => (given.reason ? "" : words.giveReason),
  }[verdict]();
  if (problem) {
    say(problem, "warn");
    return;
  }
  if (verdict !== "ranked") Object.assign(given, { ranks: {}, strength: null });
  if (verdict !== "cannot_judge") given.reason = "";
  const what = { ranked: () => answer.describe(), all_bad: () => words.allBad, cannot_judge: () => words.cannot };
  drafts.remove(supply.current.id);
  today.add(1);
  say("");
  outbox.add({ ...given, assignment: supply.current.id, seconds: clock.seconds }, what[verdict]());
  advance();
}

function advance() {
  const item = supply.take();
  if (item) present(item);
  else showOnly("loading");
}

function markDifferences(shown) {
  showDifferences(supply.current?.stage ?? document, shown);
  document.querySelector("[data-act=differences]").setAttribute("aria-pressed", String(shown));
}

function togglePanel(id) {
  if (!supply.current || !byId(id)) return;
  if (!extras.toggle(id, answer.best)) leaveText();
  refresh();
}

function toggleLegend(shown = byId("legend").hidden) {
  byId("legend").hidden = !shown;
  document.querySelector("[data-act=legend]").setAttribute("aria-expanded", String(shown));
}

function close() {
  extras?.close();
  toggleLegend(false);
  note.toggle(false);
  latest.toggle(false);
  guidelines.close();
  leaveText();
  if (extras) refresh();
}

const actions = {
  "all-bad": () => submit("all_bad"),
  cannot: () => submit("cannot_judge"),
  skip: () => second.skip(extras.reason),
  undo: () => second.undo(),
  change: (button) => {
    latest.toggle(false);
    second.undo(Number(button.dataset.ranking));
  },
  latest: () => {
    note.toggle(false);
    latest.toggle();
  },
  note: () => {
    latest.toggle(false);
    note.toggle();
  },
  "note-send": () => note.send(supply.current?.id ?? null),
  whole: () => long.toggleWhole(),
  together: () => long.toggleTogether(),
  "feedback-close": () => {}, // the dialog sees to it
  close,
  legend: () => toggleLegend(),
  "panel-flags": () => togglePanel("panel-flags"),
  "panel-why": () => togglePanel("panel-why"),
  "panel-improve": () => togglePanel("panel-improve"),
  "panel-cannot": () => togglePanel("panel-cannot"),
  differences: () => {
    store.set("differences", !store.get("differences", false)); // it stays as it was left
    markDifferences(store.get("differences"));
  },
  guidelines: () => guidelines.toggle(),
  "guidelines-close": () => guidelines.close(),
  "guidelines-read": () => guidelines.markRead(),
  retry: () => {
    outbox.flush();
    supply.fill();
  },
};

const page = {
  actions,
  chosen,
  changed,
  submit: () => submit(),
  isCovered: () => feedback.isOpen,
  isBlocked: () => guidelines.isBlocking,
  hasOne: () => Boolean(supply.current),
  keys: () => answer?.keys ?? {},
  answer(key) {
    const outcome = answer.press(key);
    if (outcome === "chosen") chosen();
    if (outcome === "placed") changed(true);
    return outcome !== "";
  },
  toggleExamples() {
    const details = document.querySelector("#stage details[data-remember=examples]");
    if (details) details.open = !details.open;
  },
};
listenToKeys(page);
listenToClicks(root, page);
addEventListener("beforeunload", (event) => {
  if (outbox.entries.length && !store.isLasting) event.preventDefault();
});
// A page out of the browser's cache holds leases that were let go.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// ---- begin ----

const first = byId("stage");
if (first) {
  const item = { id: Number(first.dataset.assignment), form: first.dataset.form, stage: first, answer: byId("answer") };
  supply.current = item;
  present(item);
} else {
  showOnly("nothing");
}
guidelines.openIfNew();
today.add(outbox.entries.length); // on their way, unknown to the server
outbox.flush();
supply.fill();
