"""The page of the models: lineage, which one writes, promoting and going back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from annotator.models import Event, Project, User
from rlhf import runs
from rlhf.models import Checkpoint, LiveHeads, Run

URL = "/projects/support/models/"


@pytest.fixture
def manager(alice: User, client_of: Callable[[User], Client]) -> Client:
    return client_of(alice)


@pytest.fixture
def policy(project: Project) -> Checkpoint:
    return Checkpoint.objects.create(
        project=project,
        kind="policy",
        name="rloo 1",
        base_model=project.base_model,
        parent=runs.base_policy(project),
        run=Run.objects.create(project=project, kind="policy", state="done"),
    )


def row_of(content: str, checkpoint: Checkpoint) -> str:
    return content.split(f'id="checkpoint-{checkpoint.pk}"')[1].split("</li>")[0]


def test_a_new_project_has_its_base_model(manager: Client, project: Project):
    content = manager.get(URL).content.decode()
    row = row_of(content, runs.base_policy(project))
    assert "The base model, as it came." in row and "Writes now" in row and "<button" not in row


def test_promoting_and_going_back(manager: Client, project: Project, policy: Checkpoint, alice: User):
    base = runs.base_policy(project)
    response = manager.post(f"{URL}{policy.pk}/promote/", {"unevaluated": "1"}, follow=True)
    content = response.content.decode()
    assert "rloo 1 writes the instructions from now on." in content
    assert "Writes now" in row_of(content, policy) and "Go back to this one" in row_of(content, base)
    content = manager.post(f"{URL}{base.pk}/promote/", follow=True).content.decode()
    assert runs.promoted_policy(project) == base
    assert "Wrote before" in row_of(content, policy)
    assert list(Event.objects.values_list("verb", "subject", "actor")) == [
        ("promoted", "smollm2", alice.pk),
        ("promoted", "rloo 1", alice.pk),
    ]


def test_a_reward_model_cannot_write(manager: Client, project: Project):
    reward = Checkpoint.objects.create(project=project, kind="reward", name="r", base_model="b")
    response = manager.post(f"{URL}{reward.pk}/promote/", follow=True)
    assert "but a policy is needed" in response.content.decode()
    assert reward != runs.promoted_policy(project)


def test_names_are_shown_as_text(manager: Client, policy: Checkpoint):
    Checkpoint.objects.filter(pk=policy.pk).update(name="<img src=x>")
    content = manager.get(URL).content.decode()
    assert "&lt;img src=x&gt;" in content and "<img src=x>" not in content


def test_it_says_when_the_heads_were_refitted_and_from_what(manager: Client, project: Project, settings: Any):
    settings.REFIT_EVERY = 10
    assert 'id="refits"' not in manager.get(URL).content.decode(), "there is no reward model yet"
    reward = Checkpoint.objects.create(project=project, kind="reward", name="<b>r</b>", base_model="b")
    content = manager.get(URL).content.decode()
    assert "The heads have not been refitted yet." in content
    assert "They are refitted after every 10 new rankings." in content
    LiveHeads.objects.update(
        checkpoint=reward, refits=2, rankings=1234, refitted_at=timezone.now(), seconds=0.84
    )
    content = manager.get(URL).content.decode()
    assert "Heads of &lt;b&gt;r&lt;/b&gt; last refitted" in content and "in 0.8 s." in content
    assert "1234 rankings" in content or "1,234 rankings" in content
    LiveHeads.objects.update(error="<i>gone</i>")
    assert "came to nothing: &lt;i&gt;gone&lt;/i&gt;" in manager.get(URL).content.decode()


def test_a_manager_switches_refits_off_and_on(manager: Client, project: Project):
    Checkpoint.objects.create(project=project, kind="reward", name="r", base_model="b")
    assert "They are refitted after every 20 new rankings." in manager.get(URL).content.decode(), (
        "the default"
    )
    content = manager.post(f"{URL}refits/", {"every": "25"}, follow=True).content.decode()
    assert "Saved." in content and "They are refitted after every 25 new rankings." in content
    assert LiveHeads.objects.get(project=project).every == 25
    content = manager.post(f"{URL}refits/", {"every": "0"}, follow=True).content.decode()
    assert "Refitting is switched off." in content


@pytest.mark.parametrize("wrong", ["", "-1", "x", "100001"])
def test_a_number_that_is_none_changes_nothing(manager: Client, project: Project, settings: Any, wrong: str):
    settings.REFIT_EVERY = 10
    Checkpoint.objects.create(project=project, kind="reward", name="r", base_model="b")
    manager.get(URL)
    response = manager.post(f"{URL}refits/", {"every": wrong}, follow=True)
    assert "Saved." not in response.content.decode()
    assert LiveHeads.objects.get(project=project).every == 10
