// The page's words in the person's language, as the server gave them.

export function readWords() {
  return JSON.parse(document.getElementById("words").textContent);
}

// "Saved: {what}." and { what: "A is better" } → "Saved: A is better."
export function fillIn(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
