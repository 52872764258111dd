// The comparison on the screen and the one fetched ahead: claims, heartbeats, letting go.

import { NotAsked, Paused, post, postAndLeave, Refused } from "./server.js";

const LOOK_AGAIN_MS = 10_000;
const SLOW_MS = 250; // with a server this slow, two are kept ahead

// A comparison as it came from the server, ready to be put on the page.
export function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const stage = template.content.querySelector("#stage");
  const answer = template.content.querySelector("#answer");
  // An image starts loading now, not when it is shown.
  for (const image of stage.querySelectorAll("img")) new Image().src = image.src;
  return { id: Number(stage.dataset.assignment), form: stage.dataset.form, stage, answer };
}

export class Supply {
  // urls: { next, renew }; on: { arrived(), empty(askedAt), unreachable(error), paused(reason), lost(), counted(progress) }
  constructor(urls, leaseSeconds, outbox, on) {
    this.urls = urls;
    this.leaseMs = 1000 * leaseSeconds;
    this.outbox = outbox;
    this.on = on;
    this.current = null;
    this.ahead = [];
    this.fetchMs = 0;
    this.lastActive = Date.now();
    for (const kind of ["keydown", "pointerdown", "pointermove", "scroll"]) {
      addEventListener(kind, () => this.wake(), { passive: true });
    }
    setInterval(() => this.renew(), this.leaseMs / 3);
    addEventListener("pagehide", () => this.letGo());
    addEventListener("online", () => this.fill());
  }

  // The next comparison, if it is here already.
  take() {
    this.current = this.ahead.shift() ?? null;
    this.fill();
    return this.current;
  }

  // Put the one on the screen back, and this one before it.
  insert(item) {
    if (this.current) this.ahead.unshift(this.current);
    this.current = item;
  }

  get ids() {
    return [this.current, ...this.ahead].filter(Boolean).map((item) => item.id);
  }

  get wanted() {
    return this.fetchMs > SLOW_MS ? 2 : 1;
  }

  // Fetch until enough are ahead.
  async fill() {
    if (this.filling || this.ahead.length >= this.wanted) return;
    clearTimeout(this.timer);
    this.filling = true;
    const began = performance.now();
    try {
      const html = await post(this.urls.next, { holding: [...this.ids, ...this.outbox.assignments] });
      this.filling = false;
      this.fetchMs = performance.now() - began;
      if (html === null) {
        this.lookAgain();
        this.on.empty();
        return;
      }
      const item = parse(html);
      const isNew = !this.ids.includes(item.id);
      if (isNew) this.ahead.push(item);
      this.on.arrived();
      if (isNew) this.fill();
    } catch (error) {
      this.filling = false;
      this.lookAgain();
      if (error instanceof NotAsked) {
        this.on.empty(error.at);
        return;
      }
      if (error instanceof Paused) {
        this.on.paused(error.message);
        return;
      }
      this.on.unreachable(error);
      if (error instanceof Refused) throw error;
    }
  }

  lookAgain() {
    this.timer = setTimeout(() => this.fill(), LOOK_AGAIN_MS);
  }

  wake() {
    const wasAway = Date.now() - this.lastActive > this.leaseMs;
    this.lastActive = Date.now();
    if (wasAway) this.renew();
  }

  // A heartbeat while somebody is there; an absent person's comparisons go to others.
  async renew() {
    if (!this.ids.length || Date.now() - this.lastActive > this.leaseMs) return;
    try {
      const { lost, progress } = await post(this.urls.renew, { assignments: this.ids });
      this.ahead = this.ahead.filter((item) => !lost.includes(item.id));
      if (this.current && lost.includes(this.current.id)) this.on.lost();
      this.on.counted(progress);
      this.fill();
    } catch {
      // No connection: the next heartbeat, or the judgment itself, will tell.
    }
  }

  // What was fetched ahead is free again when the page is left. The one on the screen stays: a reload
  // shows it again.
  letGo() {
    if (this.ahead.length) {
      postAndLeave(this.urls.renew, { assignments: this.ahead.map((item) => item.id), release: true });
    }
    this.ahead = [];
  }
}
