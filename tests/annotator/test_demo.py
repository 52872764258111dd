"""The demo: enough tasks of each kind, a fair split, accounts that only the owner can read."""

import io
import stat
from collections import Counter

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from annotator import demo
from annotator.models import Membership, Project, Prompt, PromptImport, Role, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def var(settings, tmp_path):
    settings.VAR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "files"
    return tmp_path


def create():
    out = io.StringIO()
    call_command("create_demo", stdout=out, stderr=io.StringIO())
    return out.getvalue()


@pytest.fixture
def accounts(var):
    """The accounts of a fresh demo, from the file."""
    create()
    lines = (var / "demo_accounts.txt").read_text().splitlines()
    return dict(line.split() for line in lines)


def test_the_accounts_are_those_of_the_roles_and_work(accounts, var):
    assert set(accounts) == {"annotator", "manager", "researcher"}
    assert len(set(accounts.values())) == 3
    project = Project.objects.get(slug="demo")
    for name, password in accounts.items():
        assert len(password) >= 16
        assert User.objects.get(username=name).check_password(password)
        assert Membership.objects.get(project=project, user__username=name).role == name
    assert stat.S_IMODE((var / "demo_accounts.txt").stat().st_mode) == 0o600


def test_the_passwords_are_printed_once(var):
    first = create()
    passwords = [line.split()[1] for line in (var / "demo_accounts.txt").read_text().splitlines()]
    assert all(password in first for password in passwords)
    hashes = list(User.objects.order_by("pk").values_list("password", flat=True))
    second = create()
    assert not any(password in second for password in passwords)
    assert "var/demo_accounts.txt" in second
    assert list(User.objects.order_by("pk").values_list("password", flat=True)) == hashes
    assert Project.objects.count() == 1


def test_there_are_enough_tasks_of_each_kind(accounts):
    prompts = list(Prompt.objects.filter(project__slug="demo"))
    assert len(prompts) >= 96
    languages = Counter(prompt.language for prompt in prompts)
    assert set(languages) == {"en", "zh-hans"}
    assert languages["zh-hans"] >= 24
    assert set(Counter(prompt.domain for prompt in prompts)) == {
        "customer-service",
        "code",
        "writing",
        "multi-agent",
        "general",
    }
    with_examples = [p for p in prompts if len(p.examples) + len(p.held_out_examples) >= 8]
    assert len(with_examples) > len(prompts) / 2
    assert all(prompt.held_out_examples for prompt in with_examples)
    for prompt in prompts:
        shown = {example["input"] for example in prompt.examples}
        assert not shown & {example["input"] for example in prompt.held_out_examples}, prompt.text


def test_a_quarter_is_held_out_and_each_kind_is_on_both_sides(accounts):
    prompts = list(Prompt.objects.filter(project__slug="demo"))
    share = sum(prompt.is_held_out for prompt in prompts) / len(prompts)
    assert 0.22 <= share <= 0.30
    for kind in ("domain", "language"):
        sides = {(getattr(prompt, kind), prompt.is_held_out) for prompt in prompts}
        kinds = {value for value, _ in sides}
        assert sides == {(value, side) for value in kinds for side in (True, False)}


def test_every_task_came_in_by_an_import(accounts):
    imports = list(PromptImport.objects.all())
    assert {batch.name for batch in imports} == {path.name for path in demo.task_files()}
    assert all(batch.state == PromptImport.State.DONE for batch in imports)
    assert sum(batch.counts["prompts"] for batch in imports) == Prompt.objects.count()
    assert not Prompt.objects.filter(batch=None).exists()


def test_it_asks_for_pairs_with_guidelines(accounts):
    project = Project.objects.get(slug="demo")
    assert (project.response_format, project.completions_per_comparison) == ("pairwise", 2)
    assert project.guideline.version == 1
    assert "怎样" in project.guideline.text


def test_the_manager_gets_into_the_admin_without_being_a_superuser(accounts):
    client = Client()
    client.force_login(User.objects.get(username="manager"))
    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/annotator/project/").status_code == 200
    assert not User.objects.filter(is_superuser=True).exists()
    for name in ("annotator", "researcher"):
        client.force_login(User.objects.get(username=name))
        assert client.get("/admin/").status_code == 302


def test_an_account_that_is_there_keeps_its_password(var):
    User.objects.create_user("annotator", password="mine")
    create()
    assert User.objects.get(username="annotator").check_password("mine")
    assert "annotator" not in (var / "demo_accounts.txt").read_text().split()
    assert Membership.objects.get(user__username="annotator").role == Role.ANNOTATOR


def test_when_it_fails_nothing_is_left(var, monkeypatch, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": 1}\n')
    monkeypatch.setattr(demo, "task_files", lambda: [bad])
    with pytest.raises(CommandError, match=r"bad\.jsonl: Line 1, text"):
        create()
    assert not Project.objects.exists()
    assert not User.objects.exists()
    assert not (var / "demo_accounts.txt").exists()


def test_a_folder_that_cannot_be_written_is_a_clear_error(var, settings):
    (var / "file").write_text("")
    settings.VAR = var / "file"
    with pytest.raises(CommandError, match="not created"):
        create()
    assert not Project.objects.exists()
