// Judgments on their way. Each is kept on this device until the server has said that it has it, and
// is sent with the same key however often, so it is stored exactly once.

import { newKey } from "./store.js";
import { Paused, post, Refused, SignedOut } from "./server.js";

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

export class Outbox {
  // on: { sent(entry, reply), refused(entry, message), waiting(count, isSignedOut), paused(reason) }
  constructor(store, url, on) {
    this.store = store;
    this.url = url;
    this.on = on;
    this.retryMs = FIRST_RETRY_MS;
    addEventListener("online", () => this.flush());
  }

  get entries() {
    return this.store.get("outbox", []);
  }

  get assignments() {
    return this.entries.map((entry) => entry.body.assignment);
  }

  // `what` says it in words, for when it has been stored.
  add(body, what) {
    const key = newKey();
    this.store.set("outbox", [...this.entries, { what, body: { ...body, key } }]);
    return this.flush();
  }

  // Send what is there, in order. Resolves when nothing is left or sending has to wait.
  flush() {
    this.flushing ??= this.sendAll().finally(() => {
      this.flushing = null;
      // Something that came in at the very end.
      if (this.entries.length && !this.timer) this.flush();
    });
    return this.flushing;
  }

  async sendAll() {
    clearTimeout(this.timer);
    this.timer = null;
    for (let entry = this.entries[0]; entry; entry = this.entries[0]) {
      try {
        const reply = await post(this.url, entry.body);
        this.remove(entry);
        this.on.sent(entry, reply);
      } catch (error) {
        if (error instanceof Refused) {
          this.remove(entry);
          this.on.refused(entry, error.message);
        } else {
          this.wait(error instanceof SignedOut);
          if (error instanceof Paused) this.on.paused(error.message);
          return;
        }
      }
      this.retryMs = FIRST_RETRY_MS;
    }
  }

  remove(entry) {
    this.store.set(
      "outbox",
      this.entries.filter((other) => other.body.key !== entry.body.key),
    );
  }

  wait(isSignedOut) {
    this.timer = setTimeout(() => this.flush(), this.retryMs);
    this.retryMs = Math.min(LAST_RETRY_MS, 2 * this.retryMs);
    this.on.waiting(this.entries.length, isSignedOut);
  }
}
