"""Saved exports over the API: asked for, followed, downloaded in ranges, made again."""

import hashlib

import pytest

from annotator import consent
from annotator.exports import jobs
from annotator.models import Export
from tests.factories import make_comparison, make_ranking

pytestmark = pytest.mark.django_db
URL = "/api/projects/support/exports/"


@pytest.fixture
def api(client_of, project, dana, bob, settings, tmp_path):
    settings.EXPORTS_DIR = tmp_path / "exports"
    settings.EXPORT_KEEP_FREE_BYTES = 0
    make_comparison(project)
    make_ranking(project, bob)
    client = client_of(dana)

    def post(path="", data=None):
        return client.post(f"{URL}{path}", data, content_type="application/json")

    client.send = post
    return client


def test_from_asking_to_the_file(api, dana):
    response = api.send(data={"name": "Mine", "recipe": {"format": "trl", "gzip": True}})
    assert response.status_code == 201
    asked = response.json()
    assert (asked["state"], asked["name"], asked["files"]) == ("queued", "Mine", [])
    jobs.run(asked["id"])
    done = api.get(f"{URL}{asked['id']}/").json()
    assert done["state"] == "done" and done["manifest"]["counts"]["rankings"] == 1
    [file] = [one for one in done["files"] if one.get("split")]
    url = f"{URL}{asked['id']}/files/{file['name']}"
    data = b"".join(api.get(url).streaming_content)
    assert hashlib.sha256(data).hexdigest() == file["sha256"]
    rest = api.get(url, headers={"Range": "bytes=7-"})
    assert rest.status_code == 206 and data[:7] + b"".join(rest.streaming_content) == data
    assert api.head(url)["Content-Length"] == str(file["bytes"])
    assert [one["id"] for one in api.get(URL).json()["results"]] == [asked["id"]]


def test_again(api, project, bob):
    first = api.send(data={"recipe": {"format": "raw"}}).json()["id"]
    jobs.run(first)
    second = api.send(f"{first}/repeat/").json()["id"]
    jobs.run(second)
    again = api.get(f"{URL}{second}/").json()
    assert (again["repeats"], again["same_as_repeated"]) == (first, True)
    consent.withdraw(bob, project)
    assert api.get(f"{URL}{first}/files/manifest.json").status_code == 410


@pytest.mark.parametrize(
    ("recipe", "field"),
    [
        ({}, "format"),
        ("raw", "recipe"),
        ({"format": "raw", "selection": {"domains": "code"}}, "domains"),
        ({"format": "raw", "selection": {"iteration_from": True}}, "iteration_from"),
        ({"format": "raw", "splits": {"train": 2}}, "train"),
        ({"format": "raw", "secret": 1}, "secret"),
    ],
)
def test_a_wrong_recipe_names_the_field(api, recipe, field):
    response = api.send(data={"recipe": recipe})
    assert response.status_code == 400
    assert field in response.json()
    assert not Export.objects.exists()


def test_cancelled_and_deleted(api, dana, alice, project):
    own = api.send(data={"recipe": {"format": "raw"}}).json()["id"]
    assert api.send(f"{own}/cancel/").json()["state"] == "cancelled"
    assert api.delete(f"{URL}{own}/").status_code == 204
    assert api.get(f"{URL}{own}/").status_code == 404
