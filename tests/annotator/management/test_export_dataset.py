"""`export_dataset` writes the whole file, or none and says why."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

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


def test_an_empty_project_is_an_error(project, tmp_path):
    with pytest.raises(CommandError, match="nothing to export") as error:
        run("support", "--format", "trl", "--output", tmp_path / "out.jsonl")
    assert error.value.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_project_and_format(judged, tmp_path):
    with pytest.raises(CommandError, match="no project “nowhere”"):
        run("nowhere", "--format", "trl", "--output", tmp_path / "x")
    with pytest.raises(CommandError, match="invalid choice"):
        run("support", "--format", "xml", "--output", tmp_path / "x")


def test_a_folder_that_is_not_there(judged, tmp_path):
    with pytest.raises(CommandError, match="Cannot write"):
        run("support", "--format", "trl", "--output", tmp_path / "no" / "x")


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
