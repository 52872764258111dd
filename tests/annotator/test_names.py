"""A researcher reads pseudonyms wherever a name would stand beside what somebody judged."""

import csv
import io

import pytest
from django.urls import reverse

from annotator import consent, events
from annotator.models import Comparison, Completion, Membership
from annotator.names import Names
from annotator.pseudonyms import pseudonym
from annotator.quality import reports, tables, watch
from tests.factories import make_comparison, make_project, make_ranking, make_user

pytestmark = pytest.mark.django_db


def test_managers_read_names_and_researchers_pseudonyms(project, alice, bob, dana):
    assert Names(project, alice).of(bob) == "bob"
    assert Names(project, make_user("root", is_superuser=True)).of(bob) == "bob"
    assert Names(project, dana).of(bob) == pseudonym(project, bob.pk)
    assert Names(project, alice).by_pseudonym()[pseudonym(project, bob.pk)] == "bob"
    assert Names(project, dana).by_pseudonym() == {}


def test_pseudonyms_differ_between_projects_and_hang_on_the_key(project, bob, settings):
    here = pseudonym(project, bob.pk)
    assert here != pseudonym(make_project(), bob.pk)
    settings.SECRET_KEY = "another"
    assert pseudonym(project, bob.pk) != here


@pytest.fixture
def judged(project, alice, bob, carol):
    """Bob, whose first name is Robert, and carol disagree; bob wrote a better text and was paused."""
    bob.first_name = "Robert"
    bob.save()
    comparison = make_comparison(project, wanted=2)
    make_ranking(project, bob, improved_text="Say it shorter.")
    make_ranking(project, carol, first=1)
    repeat = Comparison.objects.create(
        project=project,
        prompt=comparison.prompt,
        completions_key=comparison.completions_key,
        rule=Comparison.Rule.REPEAT,
        is_queued=False,
        reserved_for=bob,
        repeats=comparison,
    )
    watch.pause(Membership.objects.get(user=bob, project=project), alice, "Robert is too quick.")
    consent.withdraw(carol, project)
    consent.give_back(carol, project)
    reports.compute(project)
    return comparison, repeat


def pages(project, comparison, repeat):
    """Every page on which an annotator's work is shown to a researcher."""
    slug = project.slug
    return [
        reverse("project", args=[slug]),
        reverse("quality", args=[slug]),
        reverse("quality-annotators", args=[slug]),
        reverse("quality-csv", args=[slug, "annotators"]),
        reverse("comparisons", args=[slug]),
        reverse("comparisons", args=[slug]) + "?state=disagreement",
        reverse("comparison", args=[slug, comparison.pk]),
        reverse("comparison", args=[slug, repeat.pk]),
        reverse("prompts", args=[slug]),
        reverse("prompt", args=[slug, comparison.prompt_id]),
        reverse("gold", args=[slug]),
        reverse("exports", args=[slug]),
        reverse("runs", args=[slug]),
        reverse("models", args=[slug]),
        f"/api/projects/{slug}/",
        f"/api/projects/{slug}/prompts/{comparison.prompt_id}/",
        f"/api/projects/{slug}/comparisons/",
        f"/api/projects/{slug}/gold/",
    ]


def test_no_page_tells_a_researcher_who_an_annotator_is(project, judged, alice, dana, client_of):
    read = {}
    for who in (alice, dana):
        client = client_of(who)
        read[who.username] = {url: client.get(url) for url in pages(project, *judged)}
        assert {response.status_code for response in read[who.username].values()} == {200}
    for url, response in read["dana"].items():
        text = response.content.decode().lower()
        for word in (">bob", "bob<", "carol", "robert", "bob,", '"bob"', " bob "):
            assert word not in text, (word, url)
    # The same pages do name them to a manager: it is not that there is nothing to tell.
    named = [url for url, response in read["alice"].items() if "bob" in response.content.decode()]
    slug = project.slug
    assert {reverse("project", args=[slug]), reverse("quality-annotators", args=[slug])} <= set(named)


def test_figures_stand_under_the_pseudonyms_of_the_exports(project, judged, bob, carol, dana, client_of):
    response = client_of(dana).get(reverse("quality-csv", args=[project.slug, "annotators"]))
    rows = list(csv.DictReader(io.StringIO(response.content.decode().lstrip("\ufeff"))))
    assert {row["annotator"] for row in rows} == {pseudonym(project, user.pk) for user in (bob, carol)}


def test_researchers_do_not_see_single_judgments_of_who_withdrew(
    project, judged, alice, carol, dana, client_of
):
    comparison, _repeat = judged
    consent.withdraw(carol, project)
    url = reverse("comparison", args=[project.slug, comparison.pk])
    page = client_of(dana).get(url).content.decode()
    assert "1 judgment was withdrawn" in page
    assert pseudonym(project, carol.pk) not in page
    assert ">carol<" in client_of(alice).get(url).content.decode()
    table = reverse("quality-csv", args=[project.slug, "annotators"])
    assert pseudonym(project, carol.pk) not in client_of(dana).get(table).content.decode()
    assert "carol" in client_of(alice).get(table).content.decode()


def test_events_about_people_are_for_managers(project, judged, alice, dana):
    told = {event.verb for event in events.seen_by(project, alice)}
    assert {"paused", "withdrew their judgments", "gave their judgments back"} <= told
    assert not {event.verb for event in events.seen_by(project, dana)} & events.ABOUT_PEOPLE


def test_a_lifted_pause_is_for_managers_and_a_resumed_run_for_both(project, alice, bob, dana):
    member = Membership.objects.get(user=bob, project=project)
    watch.pause(member, alice, "")
    watch.lift(member, alice)
    events.record(project, alice, "resumed", "run 3", "/projects/support/runs/3/")
    assert [event.subject for event in events.seen_by(project, dana)] == ["run 3"]
    assert len(events.seen_by(project, alice)) == 3


def test_figures_by_person_are_under_the_names_that_the_reader_knows(
    project, judged, alice, bob, carol, dana
):
    figures = project.quality_report.figures
    assert set(tables.people_for(project, figures, alice)) == {"bob", "carol"}
    consent.withdraw(carol, project)
    assert set(tables.people_for(project, figures, dana)) == {pseudonym(project, bob.pk)}


def test_the_writer_of_a_better_text_is_a_pseudonym(project, judged, bob, alice, dana, client_of):
    completion = Completion.objects.get(source=Completion.Source.EDITED)
    url = reverse("prompt", args=[project.slug, completion.prompt_id])
    assert f"<code>{pseudonym(project, bob.pk)}</code>" in client_of(dana).get(url).content.decode()
    assert "bob" in client_of(alice).get(url).content.decode()
