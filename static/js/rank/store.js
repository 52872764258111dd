// What this browser keeps for one person in one project. Where nothing can be stored, memory does.

export class Store {
  constructor(prefix) {
    this.prefix = prefix;
    this.memory = new Map();
    this.isLasting = true;
  }

  get(key, fallback) {
    try {
      const text = this.memory.get(key) ?? localStorage.getItem(this.prefix + key);
      return text === null || text === undefined ? fallback : JSON.parse(text);
    } catch {
      return fallback;
    }
  }

  set(key, value) {
    const text = JSON.stringify(value);
    try {
      localStorage.setItem(this.prefix + key, text);
      this.memory.delete(key);
      this.isLasting = true;
    } catch {
      // Full, or forbidden in a private window.
      this.memory.set(key, text);
      this.isLasting = false;
    }
  }
}

// crypto.randomUUID is missing where the site is reached by plain HTTP in a local network.
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
