// "34 of 120 today", with its bar.

import { fillIn } from "./words.js";

export class Today {
  constructor(element) {
    this.element = element;
    this.limit = Number(element.dataset.limit);
    this.done = Number(element.dataset.today);
    this.waiting = Number(element.dataset.waiting);
    this.draw();
  }

  // As the server counts, with those on their way.
  set({ today, waiting }, underway) {
    this.done = today + underway;
    this.waiting = Math.max(0, waiting - underway);
    this.draw();
  }

  add(n) {
    this.done += n;
    if (this.waiting < this.limit) this.waiting = Math.max(0, this.waiting - n);
    this.draw();
  }

  skip() {
    if (this.waiting < this.limit) this.waiting = Math.max(0, this.waiting - 1);
    this.draw();
  }

  draw() {
    const { element, done, waiting, limit } = this;
    const sentence = waiting < limit ? element.dataset.of : element.dataset.more;
    const total = waiting < limit ? done + waiting : limit;
    element.querySelector("[data-words]").textContent = fillIn(sentence, { done, total });
    const bar = element.querySelector("progress");
    bar.max = Math.max(1, done + waiting);
    bar.value = done;
  }
}
