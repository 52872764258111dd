// Long texts: folded into areas of their own that scroll together, or shown whole.

const MOST_LINES = 15;

export class LongTexts {
  constructor(store, onChange) {
    this.store = store;
    this.onChange = onChange;
    this.bodies = [];
    this.expected = new WeakMap();
    this.observer = new ResizeObserver(() => this.measure());
  }

  // The texts of the comparison that is now on the screen.
  watch(stage) {
    this.observer.disconnect();
    this.bodies = [...stage.querySelectorAll(".instruction-body")];
    for (const body of this.bodies) {
      body.addEventListener("scroll", () => this.follow(body), { passive: true });
      this.observer.observe(body.parentElement);
    }
    this.measure();
  }

  get isWhole() {
    return this.store.get("whole", false);
  }

  get isTogether() {
    return this.store.get("together", true);
  }

  get long() {
    return this.bodies.filter((body) => body.dataset.isLong);
  }

  get folded() {
    return this.isWhole ? [] : this.long;
  }

  // On a phone they stand one below the other, and each scrolls alone.
  get canScrollTogether() {
    return this.folded.length > 1 && !matchMedia("(max-width: 48rem)").matches;
  }

  measure() {
    for (const body of this.bodies) {
      const text = body.firstElementChild;
      const line = parseFloat(getComputedStyle(text).lineHeight);
      const isLong = text.offsetHeight > MOST_LINES * line;
      const isFolded = isLong && !this.isWhole;
      if (isLong) body.dataset.isLong = "1";
      else delete body.dataset.isLong;
      body.classList.toggle("is-folded", isFolded);
      // What scrolls can be reached by keyboard; what does not is no stop on the way.
      if (isFolded) {
        body.tabIndex = 0;
        body.setAttribute("role", "group");
      } else {
        body.removeAttribute("tabindex");
        body.removeAttribute("role");
      }
      const button = body.parentElement.querySelector("[data-act=whole]");
      button.hidden = !isLong;
      button.setAttribute("aria-expanded", String(this.isWhole));
      button.firstElementChild.textContent = this.isWhole ? button.dataset.fold : button.dataset.whole;
    }
    this.onChange();
  }

  toggleWhole() {
    if (!this.long.length) return;
    this.store.set("whole", !this.isWhole);
    this.measure();
  }

  toggleTogether() {
    this.store.set("together", !this.isTogether);
    this.onChange();
  }

  // The others go to the same share of their way.
  follow(body) {
    if (Math.abs((this.expected.get(body) ?? -9) - body.scrollTop) < 2) return;
    this.expected.delete(body);
    if (!this.isTogether || !this.canScrollTogether) return;
    const share = body.scrollTop / Math.max(1, body.scrollHeight - body.clientHeight);
    for (const other of this.folded) {
      if (other === body) continue;
      other.scrollTop = share * (other.scrollHeight - other.clientHeight);
      this.expected.set(other, other.scrollTop);
    }
  }
}
