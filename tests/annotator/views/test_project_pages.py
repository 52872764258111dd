"""Founding projects, settings, guidelines, and the first page."""

import pytest
from django.urls import reverse
from django.utils import timezone

from annotator.models import Project
from annotator.project_form import free_slug
from tests.factories import make_comparison, make_guideline, make_member, make_project, make_ranking

DEFAULTS = {
    "name": "Refunds",
    "language": "en",
    "response_format": "pairwise",
    "completions_per_comparison": 2,
    "judgments_wanted": 1,
    "held_out_share": 0.1,
    "lease_seconds": 600,
    "strength_scale": "on",
    "flags": "harmful\nbroken",
}


def test_home_shows_my_queues_and_no_others(client_of, project, bob):
    make_project("secret", name="Secret project")
    make_comparison(project)
    make_comparison(project)
    make_ranking(project, bob)
    content = client_of(bob).get(reverse("home")).content.decode()
    assert "Support" in content
    assert "Secret project" not in content
    assert "1 judged today" in content
    assert "1 waiting" in content
    assert reverse("rank", args=["support"]) in content


def test_home_of_somebody_without_projects_says_what_to_do(client_of, mallory):
    content = client_of(mallory).get(reverse("home")).content.decode()
    assert "You have no project yet" in content
    assert reverse("project-create") not in content


def test_home_tells_paused_people(client_of, project, bob):
    project.memberships.filter(user=bob).update(paused_at=timezone.now(), pause_reason="Slow down.")
    content = client_of(bob).get(reverse("home")).content.decode()
    assert "Slow down." in content
    assert reverse("rank", args=["support"]) not in content


def test_a_project_is_founded_with_its_manager_and_guidelines(client_of, alice):
    data = {**DEFAULTS, "guidelines": "Prefer *clear* ones."}
    response = client_of(alice).post(reverse("project-create"), data)
    project = Project.objects.get(slug="refunds")
    assert response.url == reverse("import", args=["refunds"])
    assert project.memberships.get().user == alice
    assert (project.guideline.version, project.guideline.text) == (1, "Prefer *clear* ones.")
    assert project.flags == ["harmful", "broken"]


def test_the_form_is_filled_with_sensible_defaults(client_of, alice):
    content = client_of(alice).get(reverse("project-create")).content.decode()
    assert "personal data" in content
    assert 'value="600"' in content


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": ""}, "This field is required."),
        ({"completions_per_comparison": 4}, "Pairs are of 2."),
        ({"response_format": "ranking"}, "Needs 3 to 9."),
        ({"response_format": "ranking", "completions_per_comparison": 10}, "less than or equal to 9"),
        ({"held_out_share": 1.5}, "less than or equal to 0.9"),
        ({"flags": "x" * 41}, "under 40 characters"),
        ({"attribute_scales": "a\nb\nc\nd\ne\nf\ng"}, "No more than 6 lines"),
    ],
)
def test_a_wrong_field_is_marked_and_nothing_is_stored(client_of, alice, wrong, said):
    response = client_of(alice).post(reverse("project-create"), {**DEFAULTS, **wrong})
    assert response.status_code == 400
    assert said in response.content.decode()
    assert not Project.objects.filter(created_by=alice).exists()


def test_slugs_are_free(db):
    make_project("refunds")
    assert free_slug("Refunds!") == "refunds-2"
    assert free_slug("new") == "new-2"
    assert free_slug("退款") == "project"


def test_settings_change_the_project_and_keep_its_address(client_of, alice, project):
    data = {**DEFAULTS, "name": "Support, renamed", "judgments_wanted": 3}
    client_of(alice).post(reverse("settings", args=["support"]), data)
    project.refresh_from_db()
    assert (project.name, project.slug, project.judgments_wanted) == ("Support, renamed", "support", 3)


def test_what_is_asked_and_of_whom_is_a_setting_and_stays_where_it_is_not_said(client_of, alice, project):
    assert (project.selection_strategy, project.asks_reliable) == ("d-optimal-heads", False)
    told = {**DEFAULTS, "name": "Support", "selection_strategy": "bald", "asks_reliable": "on"}
    client_of(alice).post(reverse("settings", args=["support"]), told)
    project.refresh_from_db()
    assert (project.selection_strategy, project.asks_reliable) == ("bald", True)
    client_of(alice).post(reverse("settings", args=["support"]), {**DEFAULTS, "name": "Support"})
    project.refresh_from_db()
    assert (project.selection_strategy, project.asks_reliable) == ("bald", False)
    page = client_of(alice).post(
        reverse("settings", args=["support"]), {**told, "selection_strategy": "luck"}
    )
    assert "Select a valid choice" in page.text


def test_only_changed_guidelines_are_a_new_version(client_of, alice, project):
    make_guideline(project, "One\ntwo")
    client = client_of(alice)
    client.post(reverse("settings", args=["support"]), {**DEFAULTS, "guidelines": "One\r\ntwo"})
    assert project.guideline.version == 1
    client.post(reverse("settings", args=["support"]), {**DEFAULTS, "guidelines": "Three"})
    assert (project.guideline.version, project.guideline.text) == (2, "Three")


def test_guidelines_are_markdown_without_html(client_of, bob, project):
    make_guideline(project, "Be **clear**.\n\n<script>alert(1)</script> [x](javascript:alert(1))")
    content = client_of(bob).get(reverse("guidelines", args=["support"])).content.decode()
    assert "<strong>clear</strong>" in content
    assert "<script>alert" not in content
    assert 'href="javascript' not in content


def test_earlier_guidelines_can_be_read(client_of, bob, project):
    make_guideline(project, "The first")
    make_guideline(project, "The second")
    client = client_of(bob)
    url = reverse("guidelines", args=["support"])
    assert "The second" in client.get(url).content.decode()
    assert "The first" in client.get(url, {"v": 1}).content.decode()
    assert client.get(url, {"v": 9}).status_code == 404


def test_a_founder_by_permission_becomes_manager(client_of, db):
    from django.contrib.auth.models import Permission

    from tests.factories import make_user

    user = make_user("erin")
    user.user_permissions.add(Permission.objects.get(codename="add_project"))
    client_of(user).post(reverse("project-create"), DEFAULTS)
    assert Project.objects.get(slug="refunds").memberships.get().role == "manager"


def test_a_very_long_name_does_not_break_the_page(client_of, db):
    project = make_project("long", name="W" * 80)
    member = make_member(project)
    assert client_of(member).get(reverse("home")).status_code == 200


def test_a_name_is_enough_to_found_a_project(client_of, alice):
    client_of(alice).post(reverse("project-create"), {"name": "Refunds"})
    project = Project.objects.get(slug="refunds")
    assert (project.gold_rate, project.repeat_rate, project.pass_share) == (0.05, 0.1, 0.7)
    assert (project.completions_per_comparison, project.lease_seconds) == (2, 600)


def test_shares_are_written_as_percent(client_of, project, alice):
    url = reverse("settings", args=[project.slug])
    content = client_of(alice).get(url).content.decode()
    assert 'name="pass_share" value="70"' in content
    data = {**DEFAULTS, "name": "Support", "gold_rate": "7.5", "pass_share": "80", "ask_tie": "on"}
    assert client_of(alice).post(url, data).status_code == 302
    project.refresh_from_db()
    assert (project.gold_rate, project.repeat_rate, project.pass_share) == (0.075, 0, 0.8)
    assert (project.ask_tie, project.ask_all_bad, project.show_reference) == (True, False, False)


@pytest.mark.parametrize("wrong", [{"gold_rate": 51}, {"repeat_rate": -1}, {"pass_share": 101}])
def test_a_share_has_limits(client_of, project, alice, wrong):
    url = reverse("settings", args=[project.slug])
    assert client_of(alice).post(url, {**DEFAULTS, **wrong}).status_code == 400
