// The guidelines beside the work. A new version is shown once, before the next judgment.

export class Guidelines {
  constructor(store, leave) {
    this.store = store;
    this.leave = leave;
    this.panel = document.getElementById("guidelines");
    this.button = document.querySelector("[data-act=guidelines]");
    const { guideline, hasRead } = document.getElementById("rank").dataset;
    this.version = Number(guideline);
    this.hasRead = Boolean(hasRead) || store.get("guideline", 0) >= this.version;
    this.isBlocking = false;
  }

  get isOpen() {
    return this.panel !== null && !this.panel.hidden;
  }

  openIfNew() {
    if (!this.panel || this.hasRead) return;
    this.isBlocking = true;
    for (const part of this.panel.querySelectorAll(".guidelines-new")) part.hidden = false;
    this.show(true);
  }

  toggle() {
    if (!this.panel || this.isBlocking) return;
    this.show(this.panel.hidden);
    if (this.panel.hidden) this.leave();
  }

  close() {
    if (this.panel && !this.isBlocking) this.show(false);
  }

  markRead() {
    this.isBlocking = false;
    this.hasRead = true;
    this.store.set("guideline", this.version);
    for (const part of this.panel.querySelectorAll(".guidelines-new")) part.hidden = true;
    this.show(false);
    this.leave();
  }

  show(shown) {
    this.panel.hidden = !shown;
    this.button.setAttribute("aria-expanded", String(shown));
    document.getElementById("rank").classList.toggle("has-guidelines", shown);
    document.getElementById("rank").classList.toggle("is-blocked", this.isBlocking);
    if (shown) this.focus();
  }

  focus() {
    document.getElementById("guidelines-heading").focus();
  }
}
