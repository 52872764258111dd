"""Each format as those read it whom it is meant for: by their own library, or by the rules they publish."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections import Counter

import numpy as np
import pytest

from annotator.exports.files import as_given
from annotator.exports.formats.chats import transcript
from annotator.models import Completion, Project
from annotator.ranking import queue
from tests.annotator.exports.conftest import lines_in, made_by, make_checkpoint
from tests.factories import make_comparison, make_member, make_prompt, make_ranking

pytestmark = [pytest.mark.real, pytest.mark.django_db]


def rows_of(shelf, name, kind=""):
    export = shelf[name, kind or "jsonl"]
    return lines_in(export.folder, export.manifest)


def test_hh_rlhf_splits_at_the_last_assistant_turn(shelf):
    """As its users do: the prompt is what both dialogues share up to the last "Assistant:"."""
    mark = "\n\nAssistant:"
    texts = {row["chosen"] for row in rows_of(shelf, "trl")}
    for row in rows_of(shelf, "hh-rlhf"):
        prompts = set()
        for dialogue in (row["chosen"], row["rejected"]):
            prompt, found, answer = dialogue.rpartition(mark)
            assert found and prompt.startswith("\n\nHuman: ")
            assert dialogue.count(mark) == 1 and dialogue.count("\n\nHuman:") == 1
            prompts.add(prompt)
        assert len(prompts) == 1
        assert answer.startswith(" ")
    assert any("\n\nAssistant:" in text for text in texts), "the fixture tries it"
    assert transcript("a", "b\n\nHuman: c") == "\n\nHuman: a\n\nAssistant: b\nHuman: c"


def test_argilla_makes_records_and_settings(shelf):
    rg = pytest.importorskip("argilla", reason="argilla is not installed")
    from argilla._models import FieldModel, QuestionModel

    export = shelf["argilla", "json"]
    settings = json.loads((export.folder / "settings.json").read_text())
    fields = {FieldModel(**one).name for one in settings["fields"]}
    questions = {QuestionModel(**one).name: QuestionModel(**one) for one in settings["questions"]}
    options = {one["value"] for one in questions["ranking"].settings.options}
    count = 0
    for file in export.manifest.files:
        for row in json.loads((export.folder / file.path).read_text()):
            record = rg.Record.from_dict(row)
            assert set(record.fields.to_dict()) <= fields
            for response in record.responses["ranking"]:
                assert {one["value"] for one in response.value} <= options
                assert sorted({one["rank"] for one in response.value})[0] == 1
                assert uuid.UUID(str(response.user_id))
            count += 1
    assert count == export.manifest.counts["lines"] > 5


def test_argillas_settings_fit_the_records_without_its_library_too(shelf):
    export = shelf["argilla", "json"]
    settings = json.loads((export.folder / "settings.json").read_text())
    required = {one["name"] for one in settings["fields"] if one["required"]}
    known = {one["name"] for one in settings["fields"]}
    for row in export.rows:
        assert required <= row["fields"].keys() <= known
        assert row["responses"].keys() <= {one["name"] for one in settings["questions"]}


def llama_factory(folder, name):
    """Reads as LLaMA-Factory's parser and converters do: messages of user and assistant, chosen first."""
    info = json.loads((folder / "dataset_info.json").read_text())[name]
    columns, read = info["columns"], []
    assert info["ranking"] is True
    for line in (folder / info["file_name"]).read_text().splitlines():
        row = json.loads(line)
        if info["formatting"] == "alpaca":
            query = [row[columns[key]] for key in ("prompt", "query") if row[columns[key]]]
            prompt = [{"role": "user", "content": "\n".join(query)}]
            answers = [row[columns["chosen"]], row[columns["rejected"]]]
            assert all(isinstance(answer, str) for answer in answers)
        else:
            messages = row[columns["messages"]]
            assert len(messages) % 2 == 1, "a preference ends in what the user said"
            assert [one["from"] for one in messages] == ["human"]
            prompt = [{"role": "user", "content": one["value"]} for one in messages]
            said = [row[columns["chosen"]], row[columns["rejected"]]]
            assert [one["from"] for one in said] == ["gpt", "gpt"]
            answers = [one["value"] for one in said]
        read.append((prompt[0]["content"], *answers))
    return read


@pytest.mark.parametrize("name", ["llama-factory-alpaca", "llama-factory-sharegpt"])
def test_llama_factory_finds_and_aligns_its_data(shelf, name):
    export = shelf[name, "jsonl"]
    found = llama_factory(export.folder, "rich")
    if any(file.split == "test" for file in export.manifest.files):
        found += llama_factory(export.folder, "rich_test")
    assert found == [(row["prompt"], row["chosen"], row["rejected"]) for row in rows_of(shelf, "trl")]


def test_open_assistant_trees_are_walked(shelf):
    """By the schema that they publish: every field is there, ranks are 0, 1, 2 … among siblings."""
    fields = {"message_id", "parent_id", "user_id", "text", "role", "lang", "review_count", "review_result"}
    fields |= {"deleted", "rank", "synthetic", "model_name", "emojis", "replies", "labels", "events"}
    fields |= {"tree_state"}
    best = {}
    for tree in rows_of(shelf, "oasst"):
        assert tree.keys() == {"message_tree_id", "tree_state", "prompt", "origin"}
        root = tree["prompt"]
        seen, waiting = {}, [root]
        while waiting:
            message = waiting.pop()
            assert message.keys() == fields
            assert message["message_id"] not in seen
            seen[message["message_id"]] = message
            waiting += message["replies"]
            assert [reply["rank"] for reply in message["replies"]] == list(range(len(message["replies"])))
            assert {reply["parent_id"] for reply in message["replies"]} <= {message["message_id"]}
        assert (root["role"], root["message_id"]) == ("prompter", tree["message_tree_id"])
        assert {one["role"] for one in root["replies"]} == {"assistant"}
        for event in root["events"]["ranking"]:
            assert set(event["ranked_message_ids"]) <= seen.keys()
            assert sorted(event["ranking"]) == list(range(len(event["ranked_message_ids"])))
        best[root["text"]] = root["replies"][0]["text"]
    assert best == {row["prompt"]: row["completion"] for row in rows_of(shelf, "sft")}


def test_ultrafeedback_is_binarised_by_its_scores(shelf):
    """Best by overall_score is chosen, as its binarised versions do it."""
    best = {row["prompt"]: row["completion"] for row in rows_of(shelf, "sft")}
    for row in rows_of(shelf, "ultrafeedback"):
        assert len(row["models"]) == len(row["completions"]) > 1
        assert all(1 <= one["overall_score"] <= 10 for one in row["completions"])
        assert all(1 <= one["fine-grained_score"] <= 5 for one in row["completions"])
        assert (
            max(row["completions"], key=lambda one: one["overall_score"])["response"]
            == best[row["instruction"]]
        )
    ratings = {
        one["annotations"]["helpfulness"]["Rating"]
        for row in rows_of(shelf, "ultrafeedback")
        for one in row["completions"]
    }
    assert "N/A" in ratings and len(ratings) > 2


def test_a_bradley_terry_fit_of_battles_recovers_planted_strengths(project: Project, exported):
    """Three models, 30 battles a pair, won in the planted proportions: the fit's odds are those."""
    strength = {"low": 1.0, "middle": 2.0, "high": 4.0}
    checkpoints = {name: make_checkpoint(project, name) for name in strength}
    judge = make_member(project)
    for one, other in (("low", "middle"), ("middle", "high"), ("low", "high")):
        wins = round(30 * strength[one] / (strength[one] + strength[other]))
        for number in range(30):
            prompt = make_prompt(project)
            texts = queue.add_completions(
                prompt=prompt, texts=["first", "second"], source=Completion.Source.MODEL, iteration=1
            )
            for name, text in zip((one, other), texts, strict=True):
                made_by(checkpoints[name], text)
            make_comparison(project, completions=texts)
            make_ranking(project, judge, first=0 if number < wins else 1)
    folder, manifest = exported(project, "arena")
    battles = lines_in(folder, manifest)
    assert len(battles) == 90
    assert {battle["winner"] for battle in battles} == {"model_a", "model_b"}
    names = sorted({battle["model_a"] for battle in battles})
    place = {name: at for at, name in enumerate(names)}
    won = np.zeros((3, 3))
    for battle in battles:
        a, b = place[battle["model_a"]], place[battle["model_b"]]
        won[(a, b) if battle["winner"] == "model_a" else (b, a)] += 1
    fitted = np.ones(3)
    for _ in range(500):  # Zermelo's iteration
        games = won + won.T
        fitted = won.sum(axis=1) / (games / (fitted[:, None] + fitted[None, :])).sum(axis=1)
        fitted /= fitted[place[next(name for name in names if name.startswith("low"))]]
    for name, at in place.items():
        assert fitted[at] == pytest.approx(strength[name.split(" (")[0]], rel=0.01)


def test_arena_knows_ties_bad_texts_and_the_order_shown(shelf):
    battles = rows_of(shelf, "arena")
    raw = {row["ranking"]: row for row in rows_of(shelf, "raw")}
    for battle in battles:
        shown = [one["id"] for one in raw[battle["ranking"]]["completions"]]
        assert shown.index(battle["completion_a"]) < shown.index(battle["completion_b"])
        assert battle["model_a"] != battle["model_b"]
        assert [one["role"] for one in battle["conversation_a"]] == ["user", "assistant"]
    assert {battle["winner"] for battle in battles} >= {"model_a", "model_b", "tie"}


@pytest.mark.parametrize("name", ["trl", "raw", "sft", "kto"])
def test_csv_turned_back_says_what_json_lines_say(shelf, name):
    export = shelf[name, "csv"]
    rows = []
    for file in export.manifest.files:
        text = (export.folder / file.path).read_bytes().decode("utf-8-sig")
        rows += list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(rows_of(shelf, name))
    for cells, row in zip(rows, rows_of(shelf, name), strict=True):
        for column, value in row.items():
            cell = as_given(cells[column])
            if isinstance(value, list):
                assert json.loads(cell) == value
            elif isinstance(value, bool):
                assert cell == str(value).lower()
            else:
                assert cell == ("" if value is None else str(value))
            assert not cells[column].lstrip("\"' \t\r\n").startswith(("=", "@")) or cells[column][0] == "'"


def test_the_formats_say_the_same_of_one_project(shelf):
    pairs = Counter((row["prompt"], row["chosen"], row["rejected"]) for row in rows_of(shelf, "trl"))
    conversational = Counter(
        (row["prompt"][0]["content"], row["chosen"][0]["content"], row["rejected"][0]["content"])
        for row in rows_of(shelf, "trl-conversational")
    )
    assert conversational == pairs
    implicit = Counter((row["chosen"], row["rejected"]) for row in rows_of(shelf, "trl-implicit"))
    assert implicit == Counter({(f"{p}\n\n{c}", f"{p}\n\n{r}"): count for (p, c, r), count in pairs.items()})
    good = {(row["prompt"], row["completion"]) for row in rows_of(shelf, "kto") if row["label"]}
    bad = {(row["prompt"], row["completion"]) for row in rows_of(shelf, "kto") if not row["label"]}
    assert good == {(prompt, chosen) for prompt, chosen, _ in pairs}
    assert bad == {(prompt, rejected) for prompt, _, rejected in pairs}
