// What stands beside the work: the note to the managers, the latest judgments, own figures, and what is
// told about questions whose answer is known.

import { get, post, Refused } from "./server.js";

export class Note {
  // on: { said(words, kind), closed() }
  constructor(store, url, words, on) {
    this.store = store;
    this.url = url;
    this.words = words;
    this.on = on;
    this.panel = document.getElementById("note");
    this.text = document.getElementById("note-text");
    this.text.value = store.get("note", "");
    this.text.addEventListener("input", () => store.set("note", this.text.value));
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  toggle(shown = this.panel.hidden) {
    this.panel.hidden = !shown;
    document.querySelector("[data-act=note]").setAttribute("aria-expanded", String(shown));
    if (shown) this.text.focus();
  }

  async send(assignment) {
    if (this.isSending) return;
    this.isSending = true;
    try {
      await post(this.url, { text: this.text.value, assignment });
      this.text.value = "";
      this.store.set("note", "");
      this.toggle(false);
      this.on.said(this.words.noteSent, "good");
      this.on.closed();
    } catch (error) {
      this.on.said(error instanceof Refused ? error.message : this.words.noteKept, "warn");
    } finally {
      this.isSending = false;
    }
  }
}

export class Latest {
  constructor(url, words) {
    this.url = url;
    this.words = words;
    this.panel = document.getElementById("latest");
    this.list = document.getElementById("latest-list");
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  async toggle(shown = this.panel.hidden) {
    this.panel.hidden = !shown;
    document.querySelector("[data-act=latest]").setAttribute("aria-expanded", String(shown));
    if (!shown) return;
    document.getElementById("latest-heading").focus();
    try {
      this.list.innerHTML = await get(this.url);
    } catch {
      this.list.textContent = this.words.actionFailed;
    }
  }
}

// The figures under "34 of 120 today" are asked for when somebody looks.
export function fillOnOpening(details, url, words) {
  details.addEventListener("toggle", async () => {
    if (!details.open) return;
    const place = details.querySelector("[data-own]");
    try {
      place.innerHTML = await get(url);
    } catch {
      place.textContent = words.actionFailed;
    }
  });
}

// One after the other, above the next comparison; a key typed at that moment does not close it.
const UNREAD_MS = 400;

export class Feedback {
  // on: { opened(), closed() }
  constructor(on) {
    this.on = on;
    this.waiting = [];
    this.dialog = document.getElementById("feedback");
    this.dialog.addEventListener("close", () => {
      on.closed();
      this.next();
    });
    this.dialog.addEventListener("keydown", (event) => {
      const isUnread = performance.now() - this.openedAt < UNREAD_MS;
      if (["Enter", " ", "Escape"].includes(event.key) && (isUnread || event.repeat)) event.preventDefault();
    });
    this.dialog.querySelector("[data-act=feedback-close]").addEventListener("click", () => this.dialog.close());
  }

  get isOpen() {
    return this.dialog.open;
  }

  show(html) {
    this.waiting.push(html);
    if (!this.isOpen) this.next();
  }

  next() {
    const html = this.waiting.shift();
    if (html === undefined) return;
    document.getElementById("feedback-place").innerHTML = html;
    this.openedAt = performance.now();
    this.dialog.showModal();
    this.on.opened();
    this.dialog.querySelector("[data-act=feedback-close]").focus();
  }
}
