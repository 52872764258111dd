"""Every export goes into the libraries that read data sets, with texts that are hard to write down."""

from __future__ import annotations

import json

import pytest
import yaml

from annotator.exports.formats import FORMATS

pytestmark = [pytest.mark.real, pytest.mark.django_db]

ALL = [
    (name, file_type)
    for name, form in FORMATS.items()
    for file_type in (*form.file_types, *(("gz",) if form.may_gzip else ()))
]


def plain(value):
    """A row as JSON has it: without the keys that a reader adds for what is missing."""
    if isinstance(value, dict):
        found = {key: plain(inner) for key, inner in value.items()}
        return {key: inner for key, inner in found.items() if inner not in (None, {})}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def as_set(rows):
    return {json.dumps(plain(row), sort_keys=True) for row in rows}


@pytest.fixture
def load(tmp_path):
    datasets = pytest.importorskip("datasets")
    return lambda path, **values: datasets.load_dataset(
        str(path), cache_dir=str(tmp_path / "cache"), **values
    )


@pytest.mark.parametrize(("name", "file_type"), ALL)
def test_datasets_loads_the_folder_by_its_card(shelf, load, name, file_type):
    export = shelf[name, file_type]
    found = load(export.folder)
    assert {split: len(found[split]) for split in found} == {
        file.split: file.lines for file in export.manifest.files
    }
    rows = [row for split in found for row in found[split]]
    assert len(rows) == len(export.rows) > 5
    if file_type != "csv":
        assert as_set(rows) == as_set(export.rows)


@pytest.mark.parametrize("name", list(FORMATS))
def test_datasets_loads_a_file_alone(shelf, load, name):
    export = shelf[name, FORMATS[name].file_types[0]]
    for file in export.manifest.files:
        found = load("json", data_files=str(export.folder / file.path), split="train")
        assert len(found) == file.lines


@pytest.mark.parametrize("name", list(FORMATS))
def test_the_card_has_the_types_as_datasets_writes_them(shelf, name):
    datasets = pytest.importorskip("datasets")
    export = shelf[name, FORMATS[name].file_types[0]]
    head = yaml.safe_load((export.folder / "README.md").read_text().split("---\n")[1])
    features = datasets.Features._from_yaml_list(head["dataset_info"]["features"])
    assert features._to_yaml_list() == head["dataset_info"]["features"]


@pytest.mark.parametrize(("name", "file_type"), ALL)
def test_mlcroissant_validates_the_description_and_reads_records(shelf, name, file_type):
    mlcroissant = pytest.importorskip("mlcroissant")
    export = shelf[name, file_type]
    described = mlcroissant.Dataset(jsonld=str(export.folder / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    assert not described.metadata.ctx.issues.warnings
    for file in export.manifest.files:
        records = list(described.records(record_set=file.split))
        assert len(records) == file.lines
    assert described.metadata.name == "Rich 项目"
