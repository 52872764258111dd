// Second thoughts: a judgment taken back to be given anew, a comparison left to others.

import { post, Refused } from "./server.js";
import { byId, say } from "./screen.js";
import { newKey } from "./store.js";
import { parse } from "./supply.js";

export class SecondThoughts {
  // on: { back(item, judgment), left() }
  constructor({ urls, words, outbox, supply, drafts, today }, on) {
    Object.assign(this, { urls, words, outbox, supply, drafts, today, on });
    this.key = null;
    this.keyIsFor = null;
  }

  // Take a judgment back: the latest, or the one named. Tried again, it has the same key.
  async undo(ranking = null) {
    if (byId("undo").disabled || this.isUndoing) return;
    this.isUndoing = true;
    try {
      await this.outbox.flush();
      if (this.outbox.entries.length) {
        say(this.words.undoWaits, "warn");
        return;
      }
      if (ranking !== this.keyIsFor) this.key = null;
      this.keyIsFor = ranking;
      this.key ??= newKey();
      const reply = await post(this.urls.undo, { key: this.key, ranking });
      this.key = null;
      const item = parse(reply.html);
      this.supply.insert(item);
      this.on.back(item, reply.judgment);
      byId("undo").disabled = !reply.can_undo;
      this.today.add(-1);
      say(this.words.undone);
    } catch (error) {
      if (error instanceof Refused) this.key = null;
      this.tell(error);
    } finally {
      this.isUndoing = false;
    }
  }

  async skip(reason) {
    const { current } = this.supply;
    if (!current) return;
    try {
      await post(this.urls.skip, { assignment: current.id, reason });
      this.drafts.remove(current.id);
      this.today.skip();
      say(this.words.skipped);
      if (this.supply.current === current) this.on.left();
    } catch (error) {
      this.tell(error);
    }
  }

  tell(error) {
    say(error instanceof Refused ? error.message : this.words.actionFailed, "warn");
  }
}
