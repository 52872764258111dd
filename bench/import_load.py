"""How fast a file of tasks is imported, and in how much memory, with the search for near duplicates.

    python bench/import_load.py                    100,000 tasks, English and Chinese
    python bench/import_load.py --tasks 10000 --json import.json

The tasks are random, of the words that the demo's tasks are written in, in their shares. Among them are exact
and near duplicates of others, mojibake, personal data and lines that are no tasks. They are read, prepared
with every step that compares, and stored in an SQLite database that is gone afterwards; a process of its own
does that and is measured. Of near duplicates, those planted that are truly so by Jaccard's index over sets of
word triples (in Chinese, of four characters) should be found, and no others.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "annotator" / "demo"
SLUG = "load"
CHINESE_SHARE = 0.4
EXACT, NEAR, DAMAGED, PERSONAL, BROKEN = 0.02, 0.05, 0.01, 0.01, 0.001
"""Shares of the tasks that are planted."""
SIMILARITY = 0.8
WORDS, CHARACTERS = (20, 90), (40, 180)
"""The lengths of tasks, from and to."""
MOST_SECONDS, MOST_MB = 300, 1024
"""The limits for 100,000 tasks."""


@dataclass
class Planted:
    """Lines by what was planted in them."""

    near: set[int] = field(default_factory=set)
    exact: set[int] = field(default_factory=set)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--child", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child)))
        return
    figures = run(options.tasks)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def run(tasks: int) -> dict[str, Any]:
    """Make the file, import it in a child, and print what it took and what was found."""
    with tempfile.TemporaryDirectory(prefix="prefloop-import-") as var:
        env = {
            **os.environ,
            "PREFLOOP_VAR": var,
            "DATABASE_URL": f"sqlite:///{var}/db.sqlite3",
            "SECRET_KEY": "throw-away",
            "DJANGO_SETTINGS_MODULE": "annotator.site.settings",
            "PYTHONPATH": str(ROOT),
            "MODELS_DIR": os.environ.get("MODELS_DIR", str(ROOT / "var" / "models")),
        }
        path = Path(var) / "tasks.jsonl"
        planted = write(path, tasks)
        print(f"{tasks:,} tasks, {path.stat().st_size / 1024**2:.0f} MB, are written", flush=True)
        migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
        subprocess.run(migrate, env=env, check=True)
        command = [sys.executable, str(Path(__file__).resolve()), "--child", str(path)]
        done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
    figures = json.loads(done.stdout)
    found = set(figures.pop("near_lines"))
    figures["near_recall"] = len(found & planted.near) / max(1, len(planted.near))
    figures["near_precision"] = len(found & planted.near) / max(1, len(found))
    exact = set(figures.pop("exact_lines"))
    figures["exact_recall"] = len(exact & planted.exact) / max(1, len(planted.exact))
    say(figures, len(planted.near))
    rows = figures["read"]
    return {
        "import_rows_per_s": rows / figures["seconds"],
        "import_peak_mb": figures["peak_mb"],
        "import": figures,
    }


def say(figures: dict[str, Any], near: int) -> None:
    """The figures as lines."""
    rows, seconds = figures["read"], figures["seconds"]
    print(
        f"imported {rows:,} rows in {seconds:.1f} s ({figures['processor_seconds']:.1f} s of processor): "
        f"{rows / seconds:,.0f} rows a second, peak {figures['peak_mb']:.0f} MB\n"
        f"  inspecting {figures['inspecting_seconds']:.1f} s, storing {figures['storing_seconds']:.1f} s; "
        f"{figures['prompts']:,} tasks stored, with {figures['completions']:,} instructions\n"
        f"  near duplicates: {near:,} planted at {SIMILARITY:.0%} or more, "
        f"recall {figures['near_recall']:.2%}, precision {figures['near_precision']:.2%}; "
        f"exact ones: recall {figures['exact_recall']:.2%}\n"
        f"  limits for 100,000 rows: {MOST_SECONDS} s and {MOST_MB} MB",
        flush=True,
    )


def measure(path: Path) -> dict[str, Any]:
    """In a child: import the file and say what it took."""
    import django

    django.setup()
    from django.core.files import File

    from annotator.models import Project
    from annotator.prompts import importing, kept
    from annotator.prompts.preparing import PreparationOptions

    project = Project.objects.create(name="Load", slug=SLUG)
    options = PreparationOptions(near_duplicates=True, similarity=SIMILARITY)
    began, used = time.monotonic(), time.process_time()
    with path.open("rb") as file:
        batch = importing.create_import(
            project=project,
            name=path.name,
            file=File(file, name=path.name),
            user=None,
            default_domain="general",
            options=options,
            send=False,
        )
    importing.run_import(batch.pk)
    inspected = time.monotonic()
    batch.refresh_from_db()
    if not importing.start_import(batch, send=False):
        raise SystemExit(f"the file could not be inspected: {batch.error}")
    importing.run_import(batch.pk)
    ended, spent = time.monotonic(), time.process_time() - used
    batch.refresh_from_db()
    if batch.state != batch.State.DONE:
        raise SystemExit(f"the import ended as {batch.state}: {batch.error}")
    lines: dict[str, list[int]] = {"near_duplicates": [], "contamination": [], "duplicates": []}
    for row in kept.rejects_of(batch):
        lines.setdefault(row["step"], []).append(row["line"])
    return {
        "read": batch.report["read"],
        "seconds": ended - began,
        "processor_seconds": spent,
        "inspecting_seconds": inspected - began,
        "storing_seconds": ended - inspected,
        # The children unpack columns; of them there are none for JSON Lines, but they would count.
        "peak_mb": max(
            resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        / 1024,
        "prompts": batch.counts["prompts"],
        "completions": batch.counts["completions"],
        "near_lines": lines["near_duplicates"] + lines["contamination"],
        "exact_lines": lines["duplicates"],
    }


def write(path: Path, tasks: int) -> Planted:
    """A file of that many tasks, and what was planted in it."""
    chance = random.Random(100)
    words, characters = vocabulary()
    english, chinese = Sampler(words, chance), Sampler(characters, chance)
    planted = Planted()
    texts: list[str] = []
    with path.open("w", encoding="utf-8") as file:
        for line in range(1, tasks + 1):
            kind = chance.random()
            if line > 100 and kind < EXACT:
                planted.exact.add(line)
                row = {"text": texts[chance.randrange(len(texts))]}
            elif line > 100 and kind < EXACT + NEAR:
                original = texts[chance.randrange(len(texts))]
                text = changed(original, english, chinese, chance)
                if jaccard(original, text) >= SIMILARITY:
                    planted.near.add(line)
                row = {"text": text, "instruction": f"Instruction {line}."}
            else:
                row = {"text": sentence(english, chinese, chance)}
                if kind > 1 - DAMAGED:
                    row["instruction"] = "It’s “done” — naïvely.".encode().decode("cp1252", "replace")
                elif kind > 1 - DAMAGED - PERSONAL:
                    row["instruction"] = f"Write to ann{line}@example.org or call 138{line % 10**8:08d}."
                elif kind > 1 - DAMAGED - PERSONAL - BROKEN:
                    file.write('{"text": \n')
                    continue
                else:
                    texts.append(row["text"])
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return planted


class Sampler:
    """Draws words in the shares they have."""

    def __init__(self, counted: Counter[str], chance: random.Random) -> None:
        self.words, self.weights, self.chance = list(counted), [], chance
        total = 0
        for word in self.words:
            total += counted[word]
            self.weights.append(total)

    def draw(self, number: int) -> list[str]:
        """That many words."""
        return self.chance.choices(self.words, cum_weights=self.weights, k=number)


def vocabulary() -> tuple[Counter[str], Counter[str]]:
    """The words of the demo's English tasks and the characters of its Chinese ones, and how often."""
    words: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    for path in sorted(DEMO.glob("*.jsonl")):
        text = path.read_text(encoding="utf-8")
        words.update(re.findall(r"[a-z]{2,}", text.lower()))
        characters.update(re.findall(r"[\u4e00-\u9fff]", text))
    return words, characters


def sentence(english: Sampler, chinese: Sampler, chance: random.Random) -> str:
    """A task of random words."""
    if chance.random() < CHINESE_SHARE:
        drawn = chinese.draw(chance.randint(*CHARACTERS))
        return "".join(c + "，" * (n % 13 == 12) for n, c in enumerate(drawn)) + "。"
    drawn = english.draw(chance.randint(*WORDS))
    return " ".join(w + "," * (n % 11 == 10) for n, w in enumerate(drawn)).capitalize() + "."


def changed(text: str, english: Sampler, chinese: Sampler, chance: random.Random) -> str:
    """The text with other punctuation and case, or a word or two changed, added or left out."""
    if re.search(r"[\u4e00-\u9fff]", text):
        units, joint, other = list(text), "", chinese
    else:
        units, joint, other = text.split(), " ", english
    way = chance.randrange(4)
    place = chance.randrange(len(units))
    if way == 0:
        return text.upper().replace(",", ";").replace("，", "；") + "!"
    if way == 1:
        units[place : place + 1] = other.draw(1)
    elif way == 2:
        units[place:place] = other.draw(chance.randint(1, 2))
    else:
        del units[place]
    return joint.join(units)


def jaccard(first: str, second: str) -> float:
    """How alike two texts are, found out the long way: with sets of shingles as texts."""
    one, other = shingles(first), shingles(second)
    return len(one & other) / len(one | other)


def shingles(text: str) -> set[str]:
    """Word triples, or four characters of Chinese, punctuation and case aside."""
    words = re.findall(r"[^\W_]+", text.lower())
    joined = "".join(words)
    if re.search(r"[\u4e00-\u9fff]", joined):
        return {joined[n : n + 4] for n in range(max(1, len(joined) - 3))}
    return {" ".join(words[n : n + 3]) for n in range(max(1, len(words) - 2))}


if __name__ == "__main__":
    main()
