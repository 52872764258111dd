"""Sets of judged pairs: how fields and labels are recognised, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.preference_sets import BadSet, Fields, JudgedPair, group_of, read_folder, read_set


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def test_votes_are_a_majority_and_booleans_are_text(tmp_path: Path) -> None:
    row = {"instruction": "Is it?", "input": "Rain", "response1": False, "response2": "Yes."}
    votes = [(1, 1, 2), (2, 0, 2), (0, 1, 2), (0, 0, 1)]
    rows = [row | {f"annotator{n}": v for n, v in enumerate(vs, start=1)} for vs in votes]
    found = read_set(write(tmp_path / "pandalm.jsonl", *rows))
    assert [pair.outcome for pair in found.pairs] == [1.0, 0.0, 0.5, 0.5]
    assert found.pairs[0] == JudgedPair(
        "pandalm", group_of("Is it?\n\nRain"), "Is it?\n\nRain", "False", "Yes.", (1.0, 1.0, 0.0)
    )
    assert len(found.decided().pairs) == 2
    assert "0 = tie, 1 = first, 2 = second" in found.reading


def test_a_single_label_counts_from_zero_and_two_is_a_tie(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "response 1": "a", "response 2": "b", "label": n} for n in (0, 1, 2)]
    assert [p.outcome for p in read_set(write(tmp_path / "s.jsonl", *rows)).pairs] == [1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("labels", "outcomes"),
    [
        ((1, 2, 1), [1, 0, 1]),
        (("A", "B", "tie"), [1, 0, 0.5]),
        (("model_a", "model_b", "tie (both bad)"), [1, 0, 0.5]),
        (("answer_a", "answer_b", "answer_b"), [1, 0, 0]),
        ((0.9, 0.2, 0.5), [1, 0, 0.5]),
        (("1", "0", "1"), [0, 1, 0]),
        ((True, False, True), [0, 1, 0]),
    ],
)
def test_labels_are_recognised_by_their_values(tmp_path: Path, labels: Any, outcomes: Any) -> None:
    rows = [{"question": "q", "answer_a": "x", "answer_b": "y", "winner": label} for label in labels]
    assert [p.outcome for p in read_set(write(tmp_path / "s.jsonl", *rows)).pairs] == outcomes


def test_chosen_and_rejected_need_no_label_and_say_nothing_by_their_place(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "chosen": "good", "rejected": "bad"} for n in range(40)]
    pairs = read_set(write(tmp_path / "s.jsonl", *rows)).pairs
    assert {(p.first, p.outcome) for p in pairs} == {("good", 1.0), ("bad", 0.0)}


def test_two_whole_dialogues_are_split_where_they_part(tmp_path: Path) -> None:
    row = {"chosen": "Human: Hi\nAssistant: Hello.", "rejected": "Human: Hi\nAssistant: No."}
    (pair,) = read_set(write(tmp_path / "s.jsonl", row)).pairs
    assert pair.prompt == "Human: Hi"
    assert {pair.first, pair.second} == {"Assistant: Hello.", "Assistant: No."}


def test_fields_and_meanings_can_be_named(tmp_path: Path) -> None:
    row = {"x": "p", "y": "a", "z": "b", "w": "+"}
    fields = Fields(prompt=("x",), responses=("y", "z"), labels=("w",), values=("-", "+", "="))
    path = write(tmp_path / "s.jsonl", row, row | {"w": "="})
    assert [p.outcome for p in read_set(path, fields).pairs] == [0.0, 0.5]
    with pytest.raises(BadSet, match="no row has a field 'v'"):
        read_set(path, Fields(prompt=("v",), responses=("y", "z"), labels=("w",)))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    row = {"prompt": "p", "response1": "a", "response2": "b", "label": "perhaps"}
    with pytest.raises(BadSet, match=r"s\.jsonl: labels 'perhaps' have no known meaning"):
        read_set(write(tmp_path / "s.jsonl", row))
    (tmp_path / "broken.jsonl").write_text('{"prompt": 1\n')
    with pytest.raises(BadSet, match="line 1: not JSON"):
        read_set(tmp_path / "broken.jsonl")
    write(tmp_path / "good.jsonl", row | {"label": "a"}, row | {"label": "b"})
    sets, refused = read_folder(tmp_path)
    assert [s.name for s in sets] == ["good"] and len(refused) == 2
    with pytest.raises(FileNotFoundError):
        read_folder(tmp_path / "nowhere")


def test_rows_without_a_label_or_a_response_are_left_out_and_counted(tmp_path: Path) -> None:
    row = {"prompt": "p", "response_a": "x", "response_b": "y", "label": "a"}
    lacking = {name: value for name, value in row.items() if name != "response_b"}
    found = read_set(write(tmp_path / "s.jsonl", row, row | {"label": None}, lacking, row | {"label": "b"}))
    assert [pair.outcome for pair in found.pairs] == [1.0, 0.0]
    assert found.reading.endswith("2 of 4 rows left out: line 2 has nothing in 'label'")
    with pytest.raises(BadSet, match="no row is a judged pair: line 1 does not hold two responses"):
        read_set(write(tmp_path / "s.jsonl", {"prompt": "p", "responses": ["x"], "label": 0}))


def test_bytes_that_are_no_text_are_named_and_half_a_character_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'{"prompt": "\xe9"}\n')
    with pytest.raises(BadSet, match="line 1: not UTF-8"):
        read_set(path)
    path.write_text("[" * 100_000 + "\n")
    with pytest.raises(BadSet, match="line 1: not JSON"):
        read_set(path)
    row = {"input": "p", "output_1": "\ud83d!", "output_2": {"text": "y"}, "label": 1}
    path.write_text(json.dumps(row), encoding="utf-8-sig")
    (pair,) = read_set(path).pairs
    assert (pair.prompt, pair.first, pair.second) == ("p", "?!", "y")


def test_white_space_and_capitals_make_no_other_prompt() -> None:
    assert group_of("Name  it.\n") == group_of("name it.") != group_of("Name her.")
