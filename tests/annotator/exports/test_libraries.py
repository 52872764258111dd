"""Every export goes into the libraries it is meant for, with texts that are hard to write down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from annotator.exports import writing
from annotator.exports.formats import FORMATS

pytestmark = pytest.mark.django_db

ALL = [(name, file_type) for name, form in FORMATS.items() for file_type in form.file_types]


def plain(value):
    """A row as JSON has it: without the keys that a reader adds for what is missing."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if inner is not None}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture
def load(tmp_path: Path):
    datasets = pytest.importorskip("datasets")

    def read(path, **values):
        return datasets.load_dataset(str(path), cache_dir=str(tmp_path / "cache"), **values)

    return read


@pytest.mark.parametrize(("name", "file_type"), ALL)
def test_datasets_loads_the_folder_by_its_card(rich, exported, load, name, file_type):
    folder, manifest = exported(rich, name, file_type=file_type)
    found = load(folder)
    assert {split: len(found[split]) for split in found} == {file.split: file.lines for file in manifest.files}
    expected = list(writing.rows(rich, format=name))
    rows = [row for split in found for row in found[split]]
    assert len(rows) == len(expected)
    if file_type != "csv":
        order = {json.dumps(plain(row), sort_keys=True) for row in rows}
        assert order == {json.dumps(plain(row), sort_keys=True) for row in expected}


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.may_gzip])
def test_datasets_loads_compressed_files_too(rich, exported, load, name):
    folder, manifest = exported(rich, name, gzip=True)
    found = load(folder)
    assert {split: len(found[split]) for split in found} == {file.split: file.lines for file in manifest.files}


@pytest.mark.parametrize("name", list(FORMATS))
def test_datasets_loads_a_downloaded_file_without_a_card(rich, load, tmp_path, name):
    path = tmp_path / "download.jsonl"
    writing.write_file(rich, format=name, path=path)
    found = load("json", data_files=str(path), split="train")
    assert len(found) == len(list(writing.rows(rich, format=name)))


@pytest.mark.parametrize("name", list(FORMATS))
def test_the_card_has_the_types_that_datasets_would_write(rich, exported, name):
    datasets = pytest.importorskip("datasets")
    folder, _ = exported(rich, name)
    head = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    features = datasets.Features._from_yaml_list(head["dataset_info"]["features"])
    assert features._to_yaml_list() == head["dataset_info"]["features"]


@pytest.mark.parametrize(("name", "file_type"), ALL)
def test_mlcroissant_validates_and_reads_records(rich, exported, name, file_type):
    mlcroissant = pytest.importorskip("mlcroissant")
    folder, manifest = exported(rich, name, file_type=file_type)
    described = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert not described.metadata.ctx.issues.errors and not described.metadata.ctx.issues.warnings
    for file in manifest.files:
        records = list(described.records(record_set=file.split))
        assert len(records) == file.lines
