// How long a comparison was looked at: the time the page was visible, in seconds.

export class Clock {
  constructor() {
    this.restart();
    document.addEventListener("visibilitychange", () => this.tick());
  }

  restart() {
    this.total = 0;
    this.since = document.hidden ? null : performance.now();
  }

  // While something stands before the comparison.
  hold(isHeld) {
    this.tick();
    this.isHeld = isHeld;
    this.since = isHeld ? null : performance.now();
  }

  tick() {
    if (this.since !== null) this.total += performance.now() - this.since;
    this.since = document.hidden || this.isHeld ? null : performance.now();
  }

  get seconds() {
    this.tick();
    return Math.round(this.total / 10) / 100;
  }
}
