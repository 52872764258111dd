"""What a researcher reads over the API tells nobody's name, and nothing of who has withdrawn."""

import pytest

from annotator import consent
from annotator.models import Membership
from annotator.pseudonyms import pseudonym
from annotator.quality import reports, watch
from tests.factories import make_comparison, make_ranking

pytestmark = pytest.mark.django_db
URL = "/api/projects/support/"


@pytest.fixture
def judged(project, alice, bob, carol):
    """Bob and carol judged the same pair; carol was paused."""
    make_comparison(project, wanted=2)
    make_ranking(project, bob)
    make_ranking(project, carol)
    watch.pause(Membership.objects.get(user=carol, project=project), alice, "Tired.")
    reports.compute(project)
    return project


def test_events_that_name_members_are_for_managers(judged, alice, dana, client_of):
    def verbs(user):
        return {event["verb"] for event in client_of(user).get(f"{URL}events/").json()["results"]}

    assert "paused" in verbs(alice)
    assert "paused" not in verbs(dana)


def test_figures_are_by_names_for_managers_and_by_pseudonyms_for_researchers(
    judged, alice, bob, carol, dana, client_of
):
    def people(user):
        return set(client_of(user).get(f"{URL}quality/").json()["figures"]["people"])

    assert people(alice) == {"bob", "carol"}
    assert people(dana) == {pseudonym(judged, user.pk) for user in (bob, carol)}
    consent.withdraw(carol, judged)
    assert people(dana) == {pseudonym(judged, bob.pk)}


def test_judgments_of_who_withdrew_are_for_managers(judged, alice, bob, carol, dana, client_of):
    def annotators(user):
        rows = client_of(user).get(f"{URL}rankings/").json()["results"]
        return [row["annotator"] for row in rows]

    assert len(annotators(dana)) == 2
    consent.withdraw(carol, judged)
    assert annotators(dana) == [pseudonym(judged, bob.pk)]
    assert len(annotators(alice)) == 2
