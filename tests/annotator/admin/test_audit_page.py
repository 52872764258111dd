"""The audit log in the admin: shown in words, filtered, searched, and taken out as CSV."""

from __future__ import annotations

import ast
import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from annotator import audit
from annotator.admin import audit as audit_admin
from annotator.audit_words import ACTIONS, in_words
from annotator.models import AuditEntry
from rlhf.templatetags.loop import SENTENCES
from tests.factories import make_user

pytestmark = pytest.mark.django_db
LIST = "admin:annotator_auditentry_changelist"
DOWNLOAD = "admin:annotator_auditentry_download"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def browser(client, root):
    client.force_login(root)
    return client


def downloaded(browser, **query):
    response = browser.get(reverse(DOWNLOAD), query)
    assert response.status_code == 200
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_says_what_was_there_before_and_after_and_escapes_it(browser, project, alice):
    entry = audit.record(
        "changed",
        actor=alice,
        project=project,
        target=project,
        changes={"name": ["<i>", "<b>"], "x": [None, 3]},
    )
    page = browser.get(reverse("admin:annotator_auditentry_change", args=[entry.pk])).content.decode()
    assert "name: &lt;i&gt; → &lt;b&gt;" in page and "x: – → 3" in page
    assert reverse("admin:annotator_project_change", args=[project.pk]) in page


def test_filters_and_search(browser, project, alice, bob):
    hers = audit.record("promoted", actor=alice, project=project, name="rloo")
    his = audit.record("exported", actor=bob, name="file.jsonl")

    def shown(**query):
        rows = browser.get(reverse(LIST), query).context["cl"].result_list
        return {row.pk for row in rows} & {hers.pk, his.pk}

    assert shown(action="promoted") == {hers.pk}
    assert shown(actor__id__exact=bob.pk) == {his.pk}
    assert shown(project__id__exact=project.pk) == {hers.pk}
    assert shown(source__exact="api") == set()
    assert shown(q="ali") == {hers.pk}
    assert shown(q="file.json") == {his.pk}
    assert shown(q=str(his.pk)) == {his.pk}


def test_csv_has_all_that_the_filters_leave_and_says_that_it_was_taken(browser, project, monkeypatch, root):
    monkeypatch.setattr(audit_admin, "CHUNK", 2)
    entries = [audit.record("looked", project=project, name=f"thing {n}") for n in range(5)]
    audit.record("left")
    rows = downloaded(browser, action="looked")
    assert [row["id"] for row in rows] == [str(entry.pk) for entry in reversed(entries)]
    assert list(rows[0]) == audit_admin.COLUMNS
    latest = AuditEntry.objects.first()
    assert (latest.action, latest.actor, latest.details) == ("downloaded", root, {"action": "looked"})


def test_the_history_of_a_row_has_what_was_done_on_the_pages_too(browser, client, project, alice, bob):
    member = project.memberships.get(user=bob)
    client.force_login(alice)
    client.post(reverse("member-change", args=[project.slug, member.pk]), {"role": "researcher"})
    url = reverse("admin:annotator_membership_history", args=[member.pk])
    client.force_login(make_user("boss", is_staff=True, is_superuser=True))
    page = client.get(url).content.decode()
    assert "alice (Page): changed · role: annotator → researcher" in page
    staff = make_user("staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_membership"))
    client.force_login(staff)
    assert "annotator → researcher" not in client.get(url).content.decode()


def test_csv_has_no_formulas(browser, project):
    audit.record("looked", name='=HYPERLINK("http://example.org")')
    assert downloaded(browser, action="looked")[0]["object_name"].startswith("'=")


def test_csv_is_for_those_who_may_see_the_log(client):
    staff = make_user("staff", is_staff=True)
    client.force_login(staff)
    assert client.get(reverse(DOWNLOAD)).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_auditentry"))
    assert client.get(reverse(DOWNLOAD)).status_code == 200


def recorded() -> Iterator[str]:
    """What the code calls actions: the first argument of audit.record, and what `audited` is set to."""
    for part in ("annotator", "rlhf"):
        for path in (ROOT / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                given = [keyword.value for keyword in node.keywords if keyword.arg == "audited"]
                if ast.unparse(node.func) == "audit.record":
                    given.append(node.args[0])
                for value in given:
                    choices = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
                    yield from (c.value for c in choices if isinstance(c, ast.Constant) and c.value)


def test_every_action_has_its_words():
    assert set(recorded()) | set(SENTENCES) <= set(ACTIONS)
    assert len(set(recorded())) > 15
    assert in_words("something new") == "something new"
