"""A folder is whole or not there, says what is in it, and reads the database in bounded steps."""

import dataclasses
import gc
import hashlib
import json
import tracemalloc
from collections import Counter

import pytest
import yaml

from annotator.exports import export, reading, writing
from annotator.exports.checking import InvalidRequest
from annotator.exports.export import NothingToExport, judgments_up_to, stream, write_export
from annotator.exports.formats import FORMATS
from annotator.exports.recipe import Recipe
from annotator.exports.selection import Frozen, SplitPlan
from annotator.models import Prompt, Ranking
from tests.annotator.exports.conftest import lines_in
from tests.factories import make_comparison, make_prompt, make_ranking

pytestmark = pytest.mark.django_db


def test_the_manifest_fits_the_files(rich, exported):
    folder, manifest = exported(rich, "trl", splits=SplitPlan(0.5, 0.25, 0.25))
    assert json.loads((folder / "manifest.json").read_text()) == json.loads(manifest.to_json())
    for file in manifest.files:
        data = (folder / file.path).read_bytes()
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert file.lines == data.count(b"\n") == manifest.splits[file.split]["lines"]
    rows = lines_in(folder, manifest)
    assert manifest.counts["lines"] == len(rows)
    assert manifest.counts["rankings"] == len({pk for row in rows for pk in row["rankings"]})
    assert manifest.counts["prompts"] == len({row["prompt_id"] for row in rows})
    assert manifest.counts["annotators"] == len({name for row in rows for name in row["annotators"]})
    assert manifest.counts["held_out"] == sum(row["held_out"] for row in rows)
    assert manifest.counts["simulated"] == sum(row["simulated"] for row in rows)
    assert {one["name"] for one in manifest.checkpoints} == {"small", "large"}
    assert {one["id"] for one in manifest.checkpoints} == {
        row[name] for row in rows for name in ("chosen_checkpoint", "rejected_checkpoint")
    } - {None}
    head = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    assert head["language"] == ["en", "zh"]
    assert head["size_categories"] == ["n<1K"]


def test_a_prompt_is_in_one_split_and_held_out_ones_in_test(rich, exported):
    Prompt.objects.filter(project=rich).update(is_held_out=False)
    held_out = Prompt.objects.filter(project=rich, comparisons__rankings__isnull=False).first()
    Prompt.objects.filter(pk=held_out.pk).update(is_held_out=True)
    folder, manifest = exported(rich, "raw", splits=SplitPlan(0.4, 0.3, 0.3))
    splits = {}
    for file in manifest.files:
        for line in (folder / file.path).read_text().splitlines():
            splits.setdefault(json.loads(line)["prompt_id"], set()).add(file.split)
    assert all(len(found) == 1 for found in splits.values())
    assert splits[held_out.pk] == {"test"}
    assert len({split for found in splits.values() for split in found}) > 1
    _, plain = exported(rich, "raw")
    assert {file.split for file in plain.files} == {"train", "test"}
    assert plain.splits["test"]["prompts"] == 1


@pytest.mark.parametrize("name", list(FORMATS))
def test_rows_have_the_columns_of_their_format(rich, name):
    rows = list(writing.rows(rich, format=name))
    assert rows
    for row in rows:
        assert list(row) == list(FORMATS[name].columns)
        json.dumps(row)


def test_nothing_to_export_leaves_nothing(project, tmp_path):
    with pytest.raises(NothingToExport):
        write_export(project, Recipe("trl"), frozen=Frozen.now(project), folder=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_report_raises_ends_it_and_leaves_nothing(rich, tmp_path):
    def cancel(read):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_export(rich, Recipe("raw"), frozen=Frozen.now(rich), folder=tmp_path / "out", report=cancel)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_touched(rich, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        write_export(rich, Recipe("raw"), frozen=Frozen.now(rich), folder=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_it_reports_the_judgments_read(rich, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "REPORT", 5)
    monkeypatch.setattr(reading, "BATCH", 5)
    seen = []
    frozen = Frozen.now(rich)
    write_export(rich, Recipe("trl"), frozen=frozen, folder=tmp_path / "out", report=seen.append)
    assert seen == sorted(seen) and len(seen) > 2
    assert seen[-1] == judgments_up_to(rich, frozen) == Ranking.objects.count()


def test_a_stream_says_the_same_as_the_files(rich, exported):
    folder, manifest = exported(rich, "sft")
    streamed = b"".join(stream(rich, Recipe("sft"))).splitlines()
    written = [line for file in manifest.files for line in (folder / file.path).read_bytes().splitlines()]
    assert Counter(streamed) == Counter(written)


def test_a_stream_is_no_file(rich):
    for recipe in (Recipe("raw", file_type="parquet"), Recipe("raw", gzip=True)):
        with pytest.raises(InvalidRequest):
            stream(rich, recipe)


def test_small_steps_give_the_same(rich, monkeypatch):
    whole = {name: list(writing.rows(rich, format=name)) for name in FORMATS}
    monkeypatch.setattr(reading, "PROMPTS", 1)
    monkeypatch.setattr(reading, "BATCH", 1)
    for name, rows in whole.items():
        assert list(writing.rows(rich, format=name)) == rows


def test_queries_do_not_grow_with_the_judgments(rich, project, bob, django_assert_max_num_queries):
    for _ in range(30):
        make_comparison(project)
        make_ranking(project, bob)
    with django_assert_max_num_queries(15):
        assert len(list(writing.rows(project, format="trl"))) == 30


def test_memory_does_not_grow_with_the_judgments(project, bob, monkeypatch):
    """Ten times the judgments, on long tasks, read ten at a time, take no more than they did."""
    monkeypatch.setattr(reading, "PROMPTS", 10)
    monkeypatch.setattr(reading, "BATCH", 10)

    def peak():
        assert sum(1 for _ in writing.rows(project, format="raw"))  # what is loaded once is loaded
        gc.collect()
        gc.freeze()
        tracemalloc.start()
        for number, _row in enumerate(writing.rows(project, format="raw")):
            if number % 10 == 0:
                gc.collect()  # queries are cyclic garbage: let none lie
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        gc.unfreeze()
        return top

    def judge(number):
        for place in range(number):
            make_comparison(project, make_prompt(project, f"{number} {place} {'long ' * 3000}"))
            make_ranking(project, bob)

    judge(20)
    few = peak()
    judge(180)
    assert peak() < 1.5 * few


def test_a_project_named_awkwardly_breaks_neither_card_nor_description(exported, bob, project):
    project.name = '---\nlicense: mit\n"|` <b>'
    project.save()
    make_comparison(project)
    make_ranking(project, bob)
    folder, manifest = exported(project, "trl")
    parts = (folder / "README.md").read_text().split("\n---\n")
    head = yaml.safe_load(parts[0].removeprefix("---\n"))
    assert (head["pretty_name"], head["license"]) == (project.name, "unknown")
    assert json.loads((folder / "croissant.json").read_text())["name"] == project.name
    assert dataclasses.asdict(manifest)["title"] == project.name
