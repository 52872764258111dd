// The answer for three and more: a place for each card (equal places are ties), or the best and the worst.
// By keyboard (the card's letter, then the place), by the numbers on the cards, or by dragging the chips.

import { fillIn } from "./words.js";

export class Cards {
  constructor(stage, answer, words) {
    this.words = words;
    this.isBestWorst = stage.dataset.form === "best_worst";
    this.keys = { allBad: "n", flags: "m", improve: "r", guidelines: "u" };
    this.cards = [...stage.querySelectorAll("[data-completion]")];
    this.lanes = [...answer.querySelectorAll("[data-lane]")];
    this.picked = null;
    for (const card of this.cards) {
      card.addEventListener("change", (event) => this.placed(card, event.target.value));
      card.addEventListener("focusin", () => this.pick(card));
      card.addEventListener("click", (event) => this.clearOnSecondClick(card, event));
    }
    for (const lane of this.lanes) {
      window.Sortable.create(lane, {
        group: "lanes",
        sort: false,
        animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 120,
        onEnd: (event) => this.dropped(event),
      });
    }
  }

  placeOf(card) {
    return card.querySelector("[data-places] input:checked")?.value ?? "";
  }

  setPlace(card, place) {
    for (const input of card.querySelectorAll("[data-places] input")) input.checked = input.value === place;
    this.placed(card, place);
  }

  // A card has got a place: best and worst are one each; the chips follow.
  placed(card, place) {
    if (this.isBestWorst && place) {
      for (const other of this.cards) {
        if (other !== card && this.placeOf(other) === place) this.setPlace(other, "");
      }
    }
    this.draw();
    const sentence = { best: this.words.placedBest, worst: this.words.placedWorst }[place] ?? this.words.placed;
    this.lastWords = place ? fillIn(sentence, { letter: card.dataset.letter, place }) : "";
  }

  draw() {
    for (const card of this.cards) {
      const chip = document.querySelector(`[data-chip="${card.dataset.completion}"]`);
      const lane = this.lanes.find((other) => other.dataset.lane === this.placeOf(card));
      if (chip.parentElement !== lane) lane.append(chip);
      card.classList.toggle("is-placed", this.placeOf(card) !== "");
    }
  }

  dropped(event) {
    const card = this.cards.find((other) => other.dataset.completion === event.item.dataset.chip);
    this.setPlace(card, event.to.dataset.lane);
    event.item.dispatchEvent(new Event("change", { bubbles: true }));
  }

  // A place that is pressed again is taken back. (A label's click comes before its radio changes.)
  clearOnSecondClick(card, event) {
    const input = event.target.closest("[data-places] label")?.querySelector("input");
    if (!input || event.target === input) return;
    if (input.checked) {
      event.preventDefault();
      this.setPlace(card, "");
      card.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  pick(card) {
    this.picked = card;
    for (const other of this.cards) other.classList.toggle("is-picked", other === card);
  }

  // The card that the next number is for: the one picked, else the first without a place.
  get target() {
    return this.picked ?? this.nextWithout();
  }

  nextWithout(after = null) {
    const start = after ? this.cards.indexOf(after) + 1 : 0;
    const inTurn = [...this.cards.slice(start), ...this.cards.slice(0, start)];
    return inTurn.find((card) => !this.placeOf(card)) ?? null;
  }

  press(key) {
    const card = this.cards.find((other) => other.dataset.letter.toLowerCase() === key);
    if (card) {
      card.querySelector("[data-places] input:checked, [data-places] input").focus();
      this.pick(card);
      return "picked";
    }
    const target = this.target ?? this.cards[0];
    const place = this.isBestWorst ? { 1: "best", 2: "worst" }[key] : key;
    if (key === "backspace" || key === "delete") {
      this.setPlace(target, "");
      return "placed";
    }
    if (!target.querySelector(`[data-places] input[value="${CSS.escape(place ?? "none")}"]`)) return "";
    this.setPlace(target, place);
    this.pick(this.isBestWorst ? null : this.nextWithout(target));
    return "placed";
  }

  read() {
    const places = Object.fromEntries(this.cards.map((card) => [card.dataset.completion, this.placeOf(card)]));
    if (!this.isBestWorst) {
      const given = Object.entries(places).filter(([, place]) => place);
      return { ranks: Object.fromEntries(given.map(([id, place]) => [id, Number(place)])), strength: null };
    }
    if (!Object.values(places).some(Boolean)) return { ranks: {}, strength: null };
    const rank = { best: 1, "": 2, worst: 3 };
    return { ranks: Object.fromEntries(Object.entries(places).map(([id, place]) => [id, rank[place]])), strength: null };
  }

  fill({ ranks = {} }) {
    const word = { 1: "best", 3: "worst" };
    for (const card of this.cards) {
      const rank = ranks[card.dataset.completion];
      this.setPlace(card, this.isBestWorst ? (word[rank] ?? "") : rank ? String(rank) : "");
    }
    this.pick(null);
  }

  clear() {
    this.fill({});
  }

  problem() {
    const placed = this.cards.map((card) => this.placeOf(card));
    if (this.isBestWorst) return placed.includes("best") && placed.includes("worst") ? "" : this.words.bestAndWorst;
    const missing = this.cards.filter((card) => !this.placeOf(card)).map((card) => card.dataset.letter);
    return missing.length ? fillIn(this.words.rankAll, { letters: missing.join(", ") }) : "";
  }

  // "B > A = C > D"
  describe() {
    const { ranks } = this.read();
    const lanes = new Map();
    for (const card of this.cards) {
      const rank = ranks[card.dataset.completion];
      lanes.set(rank, [...(lanes.get(rank) ?? []), card.dataset.letter]);
    }
    const inOrder = [...lanes].sort(([one], [other]) => one - other);
    return inOrder.map(([, letters]) => letters.join(" = ")).join(" > ");
  }

  get best() {
    const { ranks } = this.read();
    const ids = this.cards.map((card) => card.dataset.completion);
    return ids.reduce((best, id) => ((ranks[id] ?? 99) < (ranks[best] ?? 99) ? id : best));
  }
}
