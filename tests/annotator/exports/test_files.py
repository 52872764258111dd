"""Bytes: read back by the libraries that know the kind of file, the same every time."""

import csv
import gzip
import hashlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.exports import files
from annotator.exports.files import Csv, JsonArray, JsonLines, Writer, as_given, neutral

COLUMNS = {"text": "string", "n": "int64", "yes": "bool", "list": ["string"]}
ROWS = [
    {"text": "plain", "n": 1, "yes": True, "list": ["a", "b"]},
    {"text": '=1+1\r\n"quoted", \u2028\u2029\x85 中文', "n": None, "yes": False, "list": []},
    {"text": "half a pair \ud83d.", "n": -3, "yes": None, "list": ["\ud83d\ude00"]},
]


def whole(encoder, rows, step=2):
    parts = [encoder.encode(rows[at : at + step]) for at in range(0, len(rows), step)]
    return encoder.header() + b"".join(parts) + encoder.footer()


def test_json_lines_are_lines_for_every_reader():
    data = whole(JsonLines(COLUMNS), ROWS)
    text = data.decode()
    assert len(text.splitlines()) == 3, "splitlines knows ends of lines that JSON does not"
    rows = [json.loads(line) for line in text.splitlines()]
    assert rows[:2] == ROWS[:2]
    assert rows[2]["text"] == "half a pair \ufffd."
    assert rows[2]["list"] == ["😀"], "and halves that belong together are one"


def test_a_json_array_is_one():
    assert json.loads(whole(JsonArray(COLUMNS), ROWS[:2], step=1)) == ROWS[:2]
    assert json.loads(whole(JsonArray(COLUMNS), [])) == []


def test_csv_is_read_back_by_the_standard_library():
    data = whole(Csv(COLUMNS), ROWS)
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[0] == {"text": "plain", "n": "1", "yes": "true", "list": '["a","b"]'}
    assert rows[1]["text"] == f"'{ROWS[1]['text']}"
    assert as_given(rows[1]["text"]) == ROWS[1]["text"]
    assert (rows[2]["n"], rows[1]["n"], rows[2]["yes"]) == ("-3", "", "")


@pytest.mark.parametrize(
    "text",
    ["=1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", '"=1', "'=1", "\n =1", " '\" =1", "＝1", "\tx"],
)
def test_formulas_are_neutralised_behind_quotes_and_space_too(text):
    assert neutral(text) == f"'{text}"
    assert as_given(neutral(text)) == text


@pytest.mark.parametrize("text", ["", "plain", "a=b", "'quoted'", "1-2", "中文", " spaced"])
def test_other_texts_are_left_alone(text):
    assert neutral(text) == text


@given(st.text(alphabet=st.sampled_from("=+-@'\" \t\r\nax＝")))
def test_what_was_neutralised_can_be_turned_back(text):
    assert as_given(neutral(text)) == text
    assert not neutral(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize(
    ("kind", "compress"), [("jsonl", False), ("jsonl", True), ("csv", True), ("parquet", False)]
)
def test_the_same_rows_are_the_same_bytes_and_hashed_as_they_are(tmp_path, kind, compress):
    digests = set()
    for name in ("one", "two"):
        writer = Writer(tmp_path / name, COLUMNS, file_type=kind, compress=compress)
        for row in ROWS[:2]:
            writer.add([row])
        writer.close()
        data = (tmp_path / name).read_bytes()
        assert writer.file.sha256 == hashlib.sha256(data).hexdigest()
        assert writer.file.bytes == len(data)
        digests.add(writer.file.sha256)
    assert len(digests) == 1
    if compress:
        assert data[4:8] == b"\0\0\0\0", "no time in the header"
        assert gzip.decompress(data)


def test_parquet_comes_in_row_groups_with_the_schema_of_the_format(tmp_path, monkeypatch):
    pq = pytest.importorskip("pyarrow.parquet")
    from annotator.exports import parquet

    monkeypatch.setattr(parquet, "GROUP_ROWS", 10)
    writer = Writer(tmp_path / "x.parquet", COLUMNS, file_type="parquet", compress=False)
    for start in range(0, 25, 5):
        writer.add([{"text": str(n), "n": None, "yes": None, "list": []} for n in range(start, start + 5)])
    writer.close()
    found = pq.ParquetFile(tmp_path / "x.parquet")
    assert [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)] == [10, 10, 5]
    assert found.schema_arrow == parquet.schema_of(COLUMNS), "though nothing here says what n and yes are"
    assert found.read().column("text").to_pylist() == [str(n) for n in range(25)]


def test_suffixes():
    assert files.suffix("csv", compress=True) == ".csv.gz"
    assert files.suffix("parquet", compress=False) == ".parquet"
