"""The image of a task on its page, and as the browser gets it."""

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from annotator.models import Event, Prompt
from annotator.prompts import images
from tests.factories import make_image, make_project, make_prompt

pytestmark = pytest.mark.django_db
TEXT = "A red field <b>"


@pytest.fixture
def task(project):
    return make_prompt(project)


@pytest.fixture
def pictured(task):
    images.put(task, text=TEXT, file=make_image())
    return task


def url(name, task):
    return reverse(name, args=["support", task.pk])


def sent(kind="PNG", name="../../field.php", content=None):
    return SimpleUploadedFile(name, content or make_image(kind).getvalue(), "text/html")


@pytest.mark.parametrize(("kind", "served"), [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp")])
def test_a_manager_uploads_and_every_member_sees_it(client_of, alice, bob, task, kind, served):
    answer = client_of(alice).post(
        url("prompt-image-change", task), {"file": sent(kind), "image_text": TEXT}, follow=True
    )
    page = answer.content.decode()
    assert url("prompt-image", task) in page and 'alt="A red field &lt;b&gt;"' in page
    task.refresh_from_db()
    assert "field" not in task.image.name and ".php" not in task.image.name
    response = client_of(bob).get(url("prompt-image", task))
    assert response["Content-Type"] == f"image/{served}"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, no-cache"
    assert b"".join(response.streaming_content) == task.image.open().read()
    assert response["Content-Disposition"].startswith(f'inline; filename="task-{task.pk}.')


def test_what_the_browser_has_is_not_sent_again(client_of, bob, pictured):
    client = client_of(bob)
    tag = client.get(url("prompt-image", pictured))["ETag"]
    again = client.get(url("prompt-image", pictured), headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert (again["ETag"], again["Cache-Control"]) == (tag, "private, no-cache")
    images.put(pictured, text=TEXT, file=make_image())
    new = client.get(url("prompt-image", pictured), headers={"If-None-Match": tag})
    assert new.status_code == 200 and new["ETag"] != tag


def test_who_left_gets_nothing_even_with_the_tag(client_of, project, bob, pictured):
    client = client_of(bob)
    tag = client.get(url("prompt-image", pictured))["ETag"]
    project.memberships.filter(user=bob).delete()
    assert client.get(url("prompt-image", pictured), headers={"If-None-Match": tag}).status_code == 404


def test_a_task_without_an_image_or_file_has_none_to_show(client_of, bob, task):
    assert client_of(bob).get(url("prompt-image", task)).status_code == 404
    images.put(task, text=TEXT, file=make_image())
    default_storage.delete(task.image if isinstance(task.image, str) else task.image.name)
    assert client_of(bob).get(url("prompt-image", task)).status_code == 404


def test_the_stored_file_has_no_address_of_its_own(client_of, alice, pictured):
    pictured.refresh_from_db()
    for path in (
        f"/{pictured.image.name}",
        f"/media/{pictured.image.name}",
        f"/static/{pictured.image.name}",
    ):
        assert client_of(alice).get(path).status_code == 404


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "not a PNG, JPEG or WebP image"),
        (b"<!doctype html><script>alert(1)</script>", "not a PNG, JPEG or WebP image"),
        (make_image("JPEG", (90, 90)).getvalue()[:-20], "damaged or cut off"),
        (bytes(images.MAX_BYTES + 1), "larger than 5 MB"),
    ],
    ids=["svg", "html", "cut off", "too large"],
)
def test_a_bad_file_is_refused_with_the_reason(client_of, alice, task, content, words):
    data = {"file": sent(name="field.png", content=content), "image_text": "My words"}
    response = client_of(alice).post(url("prompt-image-change", task), data)
    page = response.content.decode()
    assert response.status_code == 400 and words in page
    assert "My words" in page and '<details class="fold" open>' in page
    assert page.count("autofocus") == 1 and 'aria-current="page">Tasks' in page
    assert Prompt.objects.get(pk=task.pk).image.name == ""


@pytest.mark.parametrize(
    "data", [{"image_text": "Words alone"}, {"file": None, "image_text": ""}, {"image_text": "x" * 2001}]
)
def test_the_first_image_needs_file_and_words(client_of, alice, task, data):
    if "file" in data:
        data = {**data, "file": sent()}
    response = client_of(alice).post(url("prompt-image-change", task), data)
    assert response.status_code == 400
    assert Prompt.objects.get(pk=task.pk).image.name == ""


def test_words_change_alone_and_the_image_is_removed(client_of, alice, pictured):
    client = client_of(alice)
    client.post(url("prompt-image-change", pictured), {"image_text": "A field in red"})
    pictured.refresh_from_db()
    assert pictured.image_text == "A field in red" and pictured.image
    page = client.post(url("prompt-image-remove", pictured), follow=True).content.decode()
    assert "Add an image" in page and "<img" not in page
    client.post(url("prompt-image-remove", pictured))  # gone already
    assert list(Event.objects.order_by("pk").values_list("verb", "subject", "url")) == [
        ("changed the image of", str(pictured.pk), url("prompt", pictured)),
        ("removed the image of", str(pictured.pk), url("prompt", pictured)),
    ]


def test_researchers_see_the_image_and_no_form(client_of, dana, pictured):
    page = client_of(dana).get(url("prompt", pictured)).content.decode()
    assert url("prompt-image", pictured) in page
    assert "image/change" not in page and "image/remove" not in page


def test_the_image_of_another_project_is_not_found(client_of, alice):
    elsewhere = make_prompt(make_project("elsewhere"))
    images.put(elsewhere, text=TEXT, file=make_image())
    client = client_of(alice)
    assert client.get(url("prompt-image", elsewhere)).status_code == 404
    for name in ("prompt-image-change", "prompt-image-remove"):
        assert client.post(url(name, elsewhere), {"image_text": "Mine"}).status_code == 404
    elsewhere.refresh_from_db()
    assert elsewhere.image_text == TEXT and elsewhere.image
