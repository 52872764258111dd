"""What a finished export's page tells to do with it does work: unpack, load, and the lines of Python."""

from __future__ import annotations

import io
import tarfile

import pytest
from django.urls import reverse

from annotator.exports import jobs, words
from annotator.exports.formats import FORMATS
from annotator.exports.recipe import Recipe
from annotator.exports.selection import SplitPlan
from tests.factories import make_comparison, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def make(project, bob, settings, tmp_path):
    """Makes an export of six judgments, in three splits."""
    settings.EXPORTS_DIR = tmp_path / "exports"
    settings.EXPORT_KEEP_FREE_BYTES = 0
    for _ in range(6):
        make_comparison(project)
    for _ in range(6):
        make_ranking(project, bob)

    def made(name, **recipe):
        wanted = Recipe(name, splits=SplitPlan(0.5, 0.25, 0.25), **recipe)
        export = jobs.create(project=project, recipe=wanted, user=None, send_it=False)
        jobs.run(export.pk)
        export.refresh_from_db()
        assert export.files, export.error
        return export

    return made


def test_every_format_has_words_for_people():
    assert set(words.WORDS) == set(FORMATS)


@pytest.mark.parametrize("kind", [{"gzip": True}, {"file_type": "parquet"}, {"file_type": "csv"}])
def test_the_archive_is_a_data_set_and_so_are_its_files(
    make, kind, project, dana, client_of, tmp_path, monkeypatch
):
    datasets = pytest.importorskip("datasets")
    export = make("trl", **kind)
    url = reverse("export-file", args=[project.slug, export.pk, "all.tar"])
    data = b"".join(client_of(dana).get(url).streaming_content)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(tmp_path, filter="data")
    cache = str(tmp_path / "cache")
    folder = datasets.load_dataset(str(tmp_path / f"{project.slug}-{export.pk}"), cache_dir=cache)
    assert sum(map(len, folder.values())) == export.manifest["counts"]["lines"] == 6

    for file in export.files:  # as a browser saves them
        (tmp_path / export.saved_as(file["name"])).write_bytes((export.folder / file["name"]).read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache2")
    told: dict[str, object] = {}
    exec(words.loading(export).partition("from trl")[0], told)
    found = told["data"]
    assert {name: len(split) for name, split in found.items()} == {
        name: len(split) for name, split in folder.items()
    }


# Battles need two models, and these texts are of one.
@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"arena"}))
def test_the_lines_of_python_are_python(make, name):
    compile(words.loading(make(name)), "the page", "exec")
