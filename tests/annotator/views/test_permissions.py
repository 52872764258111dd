"""Every URL of the human side, and what it says to each of the cast."""

import pytest
from django.urls import reverse
from django.utils import timezone

from annotator import urls
from annotator.exports import jobs
from annotator.exports.recipe import Recipe
from annotator.models import Completion, Invitation, Note
from annotator.prompts import images, importing
from annotator.quality import gold
from tests.factories import make_comparison, make_guideline, make_image, make_import, make_user, make_zip

ALLOWED = {
    # name: roles that are let in; everybody else of the project gets 403, outsiders 404
    "rank": "alice bob",
    "rank-next": "alice bob",
    "rank-submit": "alice bob",
    "rank-undo": "alice bob",
    "rank-skip": "alice bob",
    "rank-latest": "alice bob",
    "rank-progress": "alice bob",
    "rank-note": "alice bob",
    "rank-renew": "alice bob",
    "guidelines": "alice bob dana",
    "settings": "alice",
    "prompts": "alice dana",
    "prompt": "alice dana",
    "prompt-image": "alice bob dana",
    "prompt-image-change": "alice",
    "prompt-image-remove": "alice",
    "import": "alice",
    "import-detail": "alice",
    "import-inspect": "alice",
    "import-format": "alice",
    "import-start": "alice",
    "import-cancel": "alice",
    "import-undo": "alice",
    "import-report": "alice",
    "import-picture": "alice",
    "import-rejects": "alice",
    "import-image": "alice",
    "comparisons": "alice dana",
    "comparison": "alice dana",
    "comparison-close": "alice",
    "comparison-adjudicate": "alice",
    "comparison-withdraw": "alice",
    "disagreement-next": "alice dana",
    "comparison-gold": "alice",
    "gold": "alice dana",
    "gold-retire": "alice",
    "notes": "alice",
    "note-done": "alice",
    "members": "alice",
    "invite": "alice",
    "invitation-revoke": "alice",
    "member": "alice",
    "member-change": "alice",
    "member-remove": "alice",
    "quality": "alice dana",
    "quality-annotators": "alice dana",
    "quality-refresh": "alice dana",
    "quality-state": "alice dana",
    "quality-csv": "alice dana",
    "exports": "alice dana",
    "export-download": "alice dana",
    "export-stream": "alice dana",
    "export": "alice dana",
    "export-file": "alice dana",
    "export-repeat": "alice dana",
    "export-cancel": "alice dana",
    "export-delete": "alice dana",
}
POSTED = {
    "quality-refresh",
    "rank-next",
    "rank-submit",
    "rank-undo",
    "rank-skip",
    "rank-note",
    "rank-renew",
    "prompt-image-change",
    "prompt-image-remove",
    "import-inspect",
    "import-format",
    "import-start",
    "import-cancel",
    "comparison-close",
    "comparison-adjudicate",
    "comparison-withdraw",
    "comparison-gold",
    "gold-retire",
    "note-done",
    "invite",
    "invitation-revoke",
    "member-change",
    "member-remove",
    "export-stream",
    "export-repeat",
    "export-cancel",
    "export-delete",
}


@pytest.fixture
def address(project, alice, bob, dana):
    """name → its URL in the project, with rows for its numbers."""
    make_guideline(project)
    comparison = make_comparison(project)
    first, second = comparison.completions.all()
    question = gold.make(comparison, ranks={first.pk: 1, second.pk: 2})
    note = Note.objects.create(project=project, author=bob, text="The task is unclear.")
    images.put(comparison.prompt, text="A red field", file=make_image())
    batch = make_import(project, make_zip(), name="signs.zip")
    importing.run_import(batch.pk)
    invitation = Invitation.objects.create(project=project, secret_hash="0" * 64, expires_at=timezone.now())
    export = jobs.create(project=project, recipe=Recipe("raw"), user=dana, send_it=False)
    numbers = {
        "prompt": comparison.prompt_id,
        "prompt-image": comparison.prompt_id,
        "prompt-image-change": comparison.prompt_id,
        "prompt-image-remove": comparison.prompt_id,
        **dict.fromkeys((name for name in ALLOWED if name.startswith("import-")), batch.pk),
        "import-image": (batch.pk, 1),
        "comparison": comparison.pk,
        "comparison-close": comparison.pk,
        "comparison-adjudicate": comparison.pk,
        "comparison-withdraw": comparison.pk,
        "disagreement-next": comparison.pk,
        "comparison-gold": comparison.pk,
        "gold-retire": question.comparison_id,
        "note-done": note.pk,
        "member": project.memberships.get(user=dana).pk,
        "invitation-revoke": invitation.pk,
        "member-change": project.memberships.get(user=dana).pk,
        "member-remove": project.memberships.get(user=bob).pk,
        "export-download": "trl",
        **dict.fromkeys(("export", "export-repeat", "export-cancel", "export-delete"), export.pk),
        "export-file": (export.pk, "manifest.json"),
        "quality-csv": "annotators",
    }

    def find(name):
        given = numbers.get(name, ())
        return reverse(name, args=[project.slug, *(given if isinstance(given, tuple) else (given,))])

    return find


def ask(client, name, url):
    return client.post(url, "{}", content_type="application/json") if name in POSTED else client.get(url)


def test_every_url_of_a_project_is_in_the_table():
    assert {pattern.name for pattern in urls.in_project} == set(ALLOWED)


@pytest.mark.parametrize("name", ALLOWED)
@pytest.mark.parametrize("who", ["alice", "bob", "dana"])
def test_members_get_what_their_role_allows(name, who, address, client_of, request):
    client = client_of(request.getfixturevalue(who))
    status = ask(client, name, address(name)).status_code
    if who in ALLOWED[name].split():
        # 400 and 409: let in, but the empty request says nothing to do. The export's file is not there yet.
        assert status in (200, 204, 302, 400, 409) or (name, status) == ("export-file", 404)
    else:
        assert status == 403


@pytest.mark.parametrize("name", ALLOWED)
def test_outsiders_cannot_tell_that_there_is_a_project(name, address, client_of, mallory):
    client = client_of(mallory)
    assert ask(client, name, address(name)).status_code == 404


@pytest.mark.parametrize("name", ALLOWED)
def test_it_sends_visitors_to_the_login(name, address, client):
    response = ask(client, name, address(name))
    assert response.status_code == 302
    assert response.url.startswith(reverse("login"))


@pytest.mark.parametrize("name", sorted(POSTED))
def test_what_changes_something_wants_a_post(name, address, client_of, alice):
    assert client_of(alice).get(address(name)).status_code == 405


@pytest.mark.parametrize("name", sorted(POSTED - {"rank-next", "rank-renew"}))
def test_outsiders_change_nothing(name, address, client_of, mallory, project):
    before = (project.memberships.count(), list(project.comparisons.values_list("is_closed", flat=True)))
    client_of(mallory).post(address(name), {"role": "manager"})
    after = (project.memberships.count(), list(project.comparisons.values_list("is_closed", flat=True)))
    assert before == after


def test_numbers_of_another_project_are_not_found(client_of, project, alice):
    from tests.factories import make_project

    elsewhere = make_comparison(make_project("elsewhere"))
    client = client_of(alice)
    for name, pk in (("prompt", elsewhere.prompt_id), ("comparison", elsewhere.pk)):
        assert client.get(reverse(name, args=[project.slug, pk])).status_code == 404


def test_a_superuser_may_open_every_project(client_of, address):
    client = client_of(make_user("root", is_superuser=True))
    for name in ("settings", "members", "prompts", "rank", "exports"):
        assert client.get(address(name)).status_code == 200


def test_only_managers_found_projects(client_of, alice, bob, dana, mallory):
    for user, status in ((alice, 200), (bob, 403), (dana, 403), (mallory, 403)):
        assert client_of(user).get(reverse("project-create")).status_code == status


def test_annotators_are_not_told_who_wrote_a_text(client_of, project, bob):
    comparison = make_comparison(project)
    Completion.objects.filter(prompt=comparison.prompt).update(source=Completion.Source.IMPORTED)
    page = client_of(bob).get(reverse("rank", args=[project.slug])).content.decode()
    assert "Instruction number" in page
    assert not any(word in page.lower() for word in ("imported", "checkpoint", "iteration", "policy"))
