// The words in which two texts differ, marked in both.

const MOST_CELLS = 4_000_000; // of the table below; longer texts stay unmarked

// Words, and what stands between them; Chinese is cut into words too where the browser can.
function cut(text) {
  if (!Intl.Segmenter) return text.split(/(\s+)/).filter(Boolean);
  const segmenter = new Intl.Segmenter(document.documentElement.lang, { granularity: "word" });
  return Array.from(segmenter.segment(text), (part) => part.segment);
}

// For each list the places of the words that are not in their longest common subsequence.
export function differences(a, b) {
  const width = b.length + 1;
  if ((a.length + 1) * width > MOST_CELLS) return [new Set(), new Set()];
  const length = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i * width + j] =
        a[i] === b[j]
          ? length[(i + 1) * width + j + 1] + 1
          : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
    }
  }
  const [onlyA, onlyB] = [new Set(a.keys()), new Set(b.keys())];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      onlyA.delete(i++);
      onlyB.delete(j++);
    } else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i++;
    else j++;
  }
  return [onlyA, onlyB];
}

// Mark the differences of the two texts on the stage, or take the marks away.
export function showDifferences(stage, shown) {
  const nodes = [...stage.querySelectorAll(".instruction-text")];
  if (nodes.length !== 2) return;
  const words = nodes.map((node) => cut(node.textContent));
  const only = shown ? differences(...words) : [new Set(), new Set()];
  for (const [side, node] of nodes.entries()) {
    node.replaceChildren(...pieces(words[side], only[side]));
  }
}

// Neighbouring words of a kind in one piece: a space between two marked words is marked with them,
// another space is not.
function pieces(words, only) {
  const isMarked = (place) =>
    words[place].trim() ? only.has(place) : only.has(place - 1) && only.has(place + 1);
  const made = [];
  let text = "";
  let isMark = false;
  const finish = () => {
    if (!text) return;
    if (isMark) {
      const mark = document.createElement("mark");
      mark.textContent = text;
      made.push(mark);
    } else made.push(document.createTextNode(text));
    text = "";
  };
  for (const [place, word] of words.entries()) {
    if (isMarked(place) !== isMark) finish();
    isMark = isMarked(place);
    text += word;
  }
  finish();
  return made;
}
