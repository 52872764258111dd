"""The file that the import's bench writes has planted in it what it says, and the preparation finds that."""

import json
import runpy
from pathlib import Path

import pytest

from annotator.prompts.opening import open_source
from annotator.prompts.preparing import Preparation, PreparationOptions
from annotator.prompts.records import Rejected

BENCH = runpy.run_path(str(Path(__file__).parents[1] / "bench" / "import_load.py"))
TASKS = 2000


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "tasks.jsonl"
    return path, BENCH["write"](path, TASKS)


def test_what_is_planted(file):
    path, planted = file
    lines = path.read_text(encoding="utf-8").split("\n")
    texts = {n: json.loads(line)["text"] for n, line in enumerate(lines, start=1) if line.endswith("}")}
    assert len(lines) == TASKS + 1  # the last is empty
    assert 60 < len(planted.near) < 140  # 5 % but those whose change was too large
    assert 20 < len(planted.exact) < 60
    assert all(texts[line] in {texts[n] for n in texts if n < line} for line in planted.exact)
    for line in sorted(planted.near)[:5]:
        assert any(BENCH["jaccard"](texts[line], texts[n]) >= 0.8 for n in texts if n < line)


def test_jaccard_the_long_way():
    assert BENCH["jaccard"]("A b, c d e f", "a b c d e g") == pytest.approx(3 / 5)
    assert BENCH["jaccard"]("请写出反义词", "请写出反义字") == pytest.approx(2 / 4)


def test_it_is_found(file):
    path, planted = file
    with open_source(path, path.name) as source:
        records = list(Preparation(PreparationOptions(near_duplicates=True)).prepare(source.records()))
    left_out = {}
    for record in records:
        if isinstance(record, Rejected):
            left_out.setdefault(record.step, set()).add(record.line)
    assert left_out["duplicates"] == planted.exact
    assert len(left_out["near_duplicates"] & planted.near) >= 0.98 * len(planted.near)
    assert len(left_out["near_duplicates"] - planted.near) <= 2  # alike by chance to another planted one
