"""A file is opened by its content, what is in it streamed; a bad line is named, the others are read."""

import json

from annotator.prompts.opening import open_source
from annotator.prompts.records import Record, Rejected


def read(tmp_path, content, name="tasks.txt", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with open_source(path, name, **options) as source:
        return source, list(source.records())


def test_pairs(tmp_path):
    source, rows = read(tmp_path, "text\tlabel\nSay the opposite.\tAntonyms\nonly one\n")
    assert (source.format, source.encoding, source.total) == ("tsv-pairs", "utf-8", 3)
    assert rows == [
        Record(line=2, text="Antonyms", instruction="Say the opposite."),
        Rejected(3, "", "1 columns instead of two: an instruction, a tab, a task.", "only one"),
    ]


def test_our_own_lines(tmp_path):
    source, rows = read(tmp_path, json.dumps({"text": "Antonyms", "id": 3}) + "\n{}\n")
    assert source.format == "jsonl-tasks"
    assert rows == [
        Record(line=1, text="Antonyms", ignored=("id",)),
        Rejected(2, "text", "is empty, and there are no examples.", "{}"),
    ]
