"""`export_dataset` writes the whole file or folder, or nothing and says why."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from annotator import consent
from annotator.exports import export
from tests.factories import make_comparison, make_ranking

pytestmark = pytest.mark.django_db


def run(*words):
    out = io.StringIO()
    call_command("export_dataset", *map(str, words), stdout=out, stderr=io.StringIO())
    return out.getvalue()


@pytest.fixture
def judged(project, bob):
    make_comparison(project)
    make_ranking(project, bob)
    return project


@pytest.mark.parametrize("name", ["trl", "raw"])
def test_the_file_and_its_manifest(judged, tmp_path, name):
    path = tmp_path / "out.jsonl"
    said = run("support", "--format", name, "--output", path)
    (line,) = path.read_text().splitlines()
    assert json.loads(line)
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    assert manifest["format"] == name
    assert "1 lines from 1 judgments" in said
    assert manifest["sha256"] in said


def test_a_folder_and_the_same_again(judged, tmp_path, bob):
    words = ("--format", "kto", "--type", "csv", "--gzip", "--split", "0.5,0.25,0.25", "--license", "mit")
    said = run("support", *words, "--folder", tmp_path / "one")
    manifest = json.loads((tmp_path / "one/manifest.json").read_text())
    assert manifest["sha256"] in said
    assert (manifest["recipe"]["file_type"], manifest["recipe"]["gzip"]) == ("csv", True)
    assert manifest["recipe"]["splits"] == {"train": 0.5, "validation": 0.25, "test": 0.25}
    make_comparison(judged)
    make_ranking(judged, bob)
    run("support", "--repeat", tmp_path / "one/manifest.json", "--folder", tmp_path / "two")
    names = ["README.md", "croissant.json", "manifest.json", manifest["files"][0]["path"]]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_who_has_withdrawn_is_left_out(judged, tmp_path, bob, carol):
    make_comparison(judged)
    make_ranking(judged, carol)
    consent.withdraw(bob, judged)
    run("support", "--format", "raw", "--folder", tmp_path / "out")
    run("support", "--format", "raw", "--output", tmp_path / "out.jsonl")
    for path in (tmp_path / "out/manifest.json", tmp_path / "out.jsonl.manifest.json"):
        manifest = json.loads(path.read_text())
        assert (manifest["counts"]["rankings"], manifest["withdrawn"]["judgments"]) == (1, 1)


def test_filters_reach_the_recipe(judged, tmp_path):
    filters = ("--iteration-from", 1, "--iteration-to", 3, "--given-from", "2020-01-01T00:00:00Z")
    more = ("--domain", "general", "--domain", "code", "--judgments", "real", "--source", "model")
    run("support", "--format", "raw", *filters, *more, "--folder", tmp_path / "out")
    recipe = json.loads((tmp_path / "out/manifest.json").read_text())["recipe"]
    assert recipe["selection"] == {
        "iteration_from": 1,
        "iteration_to": 3,
        "given_from": "2020-01-01T00:00:00+00:00",
        "domains": ["code", "general"],
        "judgments": "real",
        "sources": ["model"],
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "trl", "--split", "0.5,0.5"), "--split: three shares"),
        (("--format", "trl", "--split", "0.5,0.2,0.2"), "splits: The three shares add up to 1"),
        (("--format", "trl", "--min-agreement", "2"), "min_agreement"),
        (("--format", "trl", "--given-from", "yesterday"), "given_from: This is a time"),
        (("--format", "arena", "--type", "csv"), "file_type: “csv” is not one of"),
        (("--format", "trl", "--domain", "cooking"), "domains: “cooking”"),
        ((), "--format: say which"),
        (("--repeat", "x", "--rule", "vote"), "--repeat: the manifest says it all; leave out rule"),
        (("--repeat", "x", "--domain", "code"), "--repeat: the manifest says it all; leave out selection"),
    ],
)
def test_wrong_options_are_named(judged, tmp_path, words, message):
    with pytest.raises(CommandError, match=message) as error:
        run("support", *words, "--folder", tmp_path / "out")
    assert error.value.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_manifest_cannot_be_repeated(judged, tmp_path):
    for text in ("{", "[]", '{"recipe": {}}'):
        (tmp_path / "m.json").write_text(text)
        with pytest.raises(CommandError, match="--repeat") as error:
            run("support", "--repeat", tmp_path / "m.json", "--folder", tmp_path / "out")
        assert error.value.returncode == 2
    with pytest.raises(CommandError, match="Cannot write the export"):
        run("support", "--repeat", tmp_path / "gone.json", "--folder", tmp_path / "out")


def test_one_file_takes_no_filters(judged, tmp_path):
    with pytest.raises(CommandError, match="use --folder"):
        run("support", "--format", "trl", "--domain", "code", "--output", tmp_path / "out.jsonl")


def test_an_empty_project_is_an_error(project, tmp_path):
    for to in ("--output", "--folder"):
        with pytest.raises(CommandError, match="has nothing ") as error:
            run("support", "--format", "trl", to, tmp_path / "out")
        assert error.value.returncode == 1
        assert list(tmp_path.iterdir()) == []


def test_an_unknown_project_and_format(judged, tmp_path):
    with pytest.raises(CommandError, match="no project “nowhere”"):
        run("nowhere", "--format", "trl", "--output", tmp_path / "x")
    with pytest.raises(CommandError, match="invalid choice"):
        run("support", "--format", "xml", "--output", tmp_path / "x")


def test_a_folder_that_is_not_there_or_is_already(judged, tmp_path):
    with pytest.raises(CommandError, match="Cannot write"):
        run("support", "--format", "trl", "--output", tmp_path / "no" / "x")
    with pytest.raises(CommandError, match="is there already"):
        run("support", "--format", "trl", "--folder", tmp_path)


def test_an_interrupt_leaves_no_half_file(judged, tmp_path, monkeypatch):
    encoded = export.encoded

    def interrupted(*args):
        yield next(encoded(*args))
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "encoded", interrupted)
    with pytest.raises(CommandError, match="Interrupted") as error:
        run("support", "--format", "trl", "--output", tmp_path / "out.jsonl")
    assert error.value.returncode == 130
    assert list(tmp_path.iterdir()) == []
