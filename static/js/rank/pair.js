// The answer to "which of two is better": a scale from A to B.

import { fillIn } from "./words.js";

export class Pair {
  constructor(stage, answer, words) {
    this.words = words;
    [this.a, this.b] = Array.from(stage.querySelectorAll("[data-completion]"), (card) => card.dataset.completion);
    this.options = [...answer.querySelectorAll("input[name=choice]")];
    this.keys = { allBad: "b", flags: "f", improve: "e", guidelines: "g", differences: "d" };
  }

  get choice() {
    return this.options.find((option) => option.checked)?.value ?? "";
  }

  // What the person has chosen so far.
  read() {
    const choice = this.choice;
    if (!choice) return { ranks: {}, strength: null };
    if (choice === "same") return { ranks: { [this.a]: 1, [this.b]: 1 }, strength: null };
    const isA = choice[0] === "a";
    return { ranks: { [this.a]: isA ? 1 : 2, [this.b]: isA ? 2 : 1 }, strength: Number(choice[1]) || null };
  }

  fill({ ranks = {}, strength = null }) {
    const difference = ranks[this.b] - ranks[this.a];
    let choice = "";
    if (difference === 0) choice = "same";
    else if (difference) choice = (difference > 0 ? "a" : "b") + (strength ?? "");
    for (const option of this.options) option.checked = option.value === choice;
    // A strength that was not asked then, or is not asked now.
    if (difference && !this.choice) {
      const side = this.options.filter((option) => option.value[0] === choice[0] && option.value !== "same");
      side[Math.floor(side.length / 2)].checked = true;
    }
  }

  clear() {
    for (const option of this.options) option.checked = false;
  }

  // Why this cannot be submitted yet, or "".
  problem() {
    return this.choice ? "" : this.words.chooseFirst;
  }

  describe() {
    const { ranks, strength } = this.read();
    if (ranks[this.a] === ranks[this.b]) return this.words.same;
    const letter = ranks[this.a] < ranks[this.b] ? "A" : "B";
    return fillIn(this.words[`better${strength ?? 2}`], { letter });
  }

  // The better one's id, if there is one.
  get best() {
    return this.choice[0] === "b" ? this.b : this.a;
  }

  // "chosen" if the key was an answer.
  press(key) {
    const byKey = this.options.find((option) => option.parentElement.querySelector("kbd").textContent === key);
    const option = byKey ?? (key === "0" && this.options.find((other) => other.value === "same"));
    if (!option) return "";
    option.checked = true;
    return "chosen";
  }
}
