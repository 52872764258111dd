// What may be said beside the answer: flags, ratings, why, a better version, why it cannot be judged.
// Each in a panel that opens above the scale; one at a time.

export class Extras {
  constructor(stage, answer) {
    this.stage = stage;
    this.answer = answer;
    this.flags = [...answer.querySelectorAll("[data-flag]")];
    this.ratings = [...answer.querySelectorAll("[data-rating]")];
    this.rationale = answer.querySelector("#rationale");
    this.improved = answer.querySelector("#improved-text");
    this.reasonText = answer.querySelector("#reason-text");
    this.reasons = [...answer.querySelectorAll("input[name=reason]")];
    this.panels = [...answer.querySelectorAll(".panel")];
    this.reasonText.addEventListener("input", () => {
      for (const reason of this.reasons) reason.checked = false;
    });
    for (const button of answer.querySelectorAll("[data-start-from]")) {
      button.addEventListener("click", () => this.startFrom(button.dataset.startFrom));
    }
  }

  get reason() {
    return this.reasonText.value.trim() || this.reasons.find((reason) => reason.checked)?.value || "";
  }

  textOf(id) {
    return this.stage.querySelector(`[data-completion="${id}"] .instruction-text`).textContent.trim();
  }

  startFrom(id) {
    this.improved.value = this.textOf(id);
    this.improved.dispatchEvent(new Event("input", { bubbles: true }));
    this.improved.focus();
  }

  // A text that nobody changed is no better version.
  get improvedText() {
    const text = this.improved?.value.trim() ?? "";
    const shown = Array.from(this.stage.querySelectorAll(".instruction-text"), (node) => node.textContent.trim());
    return shown.includes(text) ? "" : text;
  }

  read() {
    const flags = {};
    for (const flag of this.flags) {
      if (flag.checked) (flags[flag.dataset.flag] ??= []).push(flag.value);
    }
    const ratings = {};
    for (const rating of this.ratings) {
      if (rating.checked) (ratings[rating.dataset.rating] ??= {})[rating.dataset.scale] = Number(rating.value);
    }
    return {
      flags,
      ratings,
      rationale: this.rationale?.value.trim() ?? "",
      improved_text: this.improvedText,
      reason: this.reason,
    };
  }

  fill({ flags = {}, ratings = {}, rationale = "", improved_text = "", reason = "" }) {
    for (const flag of this.flags) flag.checked = flags[flag.dataset.flag]?.includes(flag.value) ?? false;
    for (const rating of this.ratings) {
      rating.checked = ratings[rating.dataset.rating]?.[rating.dataset.scale] === Number(rating.value);
    }
    if (this.rationale) this.rationale.value = rationale; // the project need not ask for either
    if (this.improved) this.improved.value = improved_text;
    for (const choice of this.reasons) choice.checked = choice.value === reason;
    this.reasonText.value = this.reasons.some((choice) => choice.checked) ? "" : reason;
  }

  get asksRatings() {
    return this.ratings.length > 0;
  }

  get lacksRatings() {
    const groups = new Set(this.ratings.map((rating) => rating.name));
    return [...groups].some((name) => !this.ratings.some((rating) => rating.name === name && rating.checked));
  }

  // Whether something has been said, or is being said: then a choice waits for Enter.
  get isBusy() {
    const { flags, rationale, improved_text } = this.read();
    return Boolean(this.open || Object.keys(flags).length || rationale || improved_text);
  }

  get open() {
    return this.panels.find((panel) => !panel.hidden) ?? null;
  }

  toggle(id, best) {
    const panel = this.panels.find((other) => other.id === id);
    const opens = panel.hidden;
    this.close();
    panel.hidden = !opens;
    if (opens) {
      if (id === "panel-improve" && !this.improved.value) this.improved.value = this.textOf(best);
      panel.querySelector("input, textarea").focus();
    }
    return opens;
  }

  close() {
    for (const panel of this.panels) panel.hidden = true;
  }

  // Which panels hold something, by the id of their button's target.
  get filled() {
    const { flags, rationale, improved_text } = this.read();
    return {
      "panel-flags": Object.keys(flags).length > 0,
      "panel-why": rationale !== "",
      "panel-improve": improved_text !== "",
    };
  }
}
