// What was begun and not submitted, by assignment; the latest few.

const MOST = 20;

export class Drafts {
  constructor(store) {
    this.store = store;
  }

  get(id) {
    return this.all.find(([other]) => other === id)?.[1] ?? null;
  }

  set(id, judgment) {
    const others = this.all.filter(([other]) => other !== id);
    this.store.set("drafts", [...others, [id, judgment]].slice(-MOST));
  }

  remove(id) {
    this.store.set(
      "drafts",
      this.all.filter(([other]) => other !== id),
    );
  }

  get all() {
    return this.store.get("drafts", []);
  }
}
