"""An export is whole or not there, and its manifest says what is in it."""

import hashlib
import io
import json
import stat

import pytest

from annotator.exports import export, writing
from annotator.exports.writing import UnknownFormat, write, write_file
from tests.factories import make_comparison, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def three(project, bob, carol):
    for person in (bob, bob, carol):
        make_comparison(project)
        make_ranking(project, person)
    return project


def test_the_manifest_fits_the_bytes(three):
    stream = io.BytesIO()
    manifest = write(three, format="trl", stream=stream)
    data = stream.getvalue()
    assert manifest.bytes == len(data)
    assert manifest.sha256 == hashlib.sha256(data).hexdigest()
    lines = data.decode().splitlines()
    assert manifest.counts["lines"] == len(lines) == 3
    assert (manifest.counts["rankings"], manifest.counts["prompts"], manifest.counts["annotators"]) == (
        3,
        3,
        2,
    )
    assert {"prompt", "chosen", "rejected"} <= json.loads(lines[0]).keys()
    assert json.loads(manifest.to_json())["project"] == "support"


def test_the_same_rankings_give_the_same_bytes(three):
    one, two = io.BytesIO(), io.BytesIO()
    assert write(three, format="raw", stream=one).sha256 == write(three, format="raw", stream=two).sha256
    assert one.getvalue() == two.getvalue()


def test_it_comes_in_blocks(three, monkeypatch):
    monkeypatch.setattr(export, "LINES", 1)
    blocks = list(writing.blocks(three, format="trl"))
    assert [block.count(b"\n") for block in blocks] == [1, 1, 1]
    stream = io.BytesIO()
    write(three, format="trl", stream=stream)
    assert b"".join(blocks) == stream.getvalue()


def test_a_file_and_its_manifest(three, tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("what was there before")
    seen = []
    manifest = write_file(three, format="raw", path=path, report=seen.append)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == manifest.sha256
    assert json.loads((tmp_path / "out.jsonl.manifest.json").read_text())["sha256"] == manifest.sha256
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.jsonl", "out.jsonl.manifest.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert seen[-1] == 3


def test_an_interrupted_export_leaves_what_was_there(three, tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("before")

    def interrupt(lines):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(three, format="raw", path=path, report=interrupt)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.jsonl", "before")]


def test_an_unknown_format_is_named_at_once(project):
    with pytest.raises(UnknownFormat, match="“xml” is not an export format: trl, "):
        writing.blocks(project, format="xml")


def test_whether_there_is_anything(project, bob):
    assert writing.is_empty(project, format="trl")
    make_comparison(project)
    make_ranking(project, bob)
    assert not writing.is_empty(project, format="trl")
