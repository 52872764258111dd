"""Events on their way to a real receiver: delivered once, tried again, given up, never led astray."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from annotator.models import Webhook, WebhookDelivery, WebhookEvent
from annotator.ranking.submit import undo
from annotator.webhooks import delivering, keeping
from rlhf import execution, runs
from rlhf.models import Run
from tests.annotator.webhooks.test_signing import verified
from tests.factories import make_comparison, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(project, alice, receiver):
    return keeping.make(project=project, url=receiver.url, wanted=[*keeping.OFFERED], by=alice)


def due(delivery):
    WebhookDelivery.objects.filter(pk=delivery.pk).update(due_at=timezone.now())
    return delivery


def the_delivery():
    return WebhookDelivery.objects.get()


def test_a_full_comparison_is_told_once_and_signed(
    hook, receiver, project, bob, carol, sent, django_capture_on_commit_callbacks
):
    _, secret = hook
    comparison = make_comparison(project, wanted=2)
    with django_capture_on_commit_callbacks(execute=True):
        make_ranking(project, bob)
        assert not WebhookDelivery.objects.exists()
        make_ranking(project, carol)
    assert sent == [the_delivery().pk]
    assert delivering.deliver(sent[0]) and not delivering.deliver(sent[0])
    (got,) = receiver.got
    assert got["path"] == "/hook?from=prefloop" and got["headers"]["content-type"] == "application/json"
    assert verified(secret, got["headers"], got["body"])
    body = json.loads(got["body"])
    assert (body["type"], body["project"]) == ("comparison.full", "support")
    assert body["data"] == {
        **{"comparison": comparison.pk, "prompt": comparison.prompt_id, "judgments": 2},
        **{"rule": "random", "iteration": 1},
    }
    done = the_delivery()
    assert done.state == "done" and [one["status"] for one in done.attempts] == [204]


def test_after_an_undo_it_is_told_anew(hook, project, bob):
    make_comparison(project)
    undo(annotator=bob, ranking=make_ranking(project, bob), idempotency_key="u")
    make_ranking(project, bob)
    assert WebhookDelivery.objects.filter(event="comparison.full").count() == 2


def test_nothing_is_told_that_nobody_wants(project, alice, bob, receiver):
    webhook, _ = keeping.make(project=project, url=receiver.url, wanted=["run.finished"], by=alice)
    make_comparison(project)
    make_ranking(project, bob)
    keeping.change(webhook, alice, wanted=["comparison.full"], active=False)
    make_comparison(project)
    make_ranking(project, bob)
    assert not WebhookDelivery.objects.exists()


@pytest.mark.parametrize("how", ["done", "failed", "cancelled", "cancelled while waiting", "silent"])
def test_the_end_of_a_run_is_told(hook, project, monkeypatch, settings, tmp_path, how):
    settings.VAR = tmp_path
    monkeypatch.setattr(runs.app, "send_task", lambda *args, **kwargs: None)
    run = Run.objects.create(project=project, kind=Run.Kind.REWARD)
    if how == "cancelled while waiting":
        runs.cancel(run)
    else:
        hold = execution.claim(run.pk, "test")
        if how == "done":
            with hold.finishing():
                pass
        elif how == "failed":
            hold.fail("no memory")
        elif how == "cancelled":
            hold.cancelled()
        else:
            long_ago = timezone.now() - timedelta(hours=1)
            Run.objects.update(heartbeat_at=long_ago, cancel_requested=True)
            execution.requeue_stale()
    data = json.loads(the_delivery().body)["data"]
    state = {"done": "done", "failed": "failed"}.get(how, "cancelled")
    assert (data["run"], data["kind"], data["state"]) == (run.pk, "reward", state)
    assert data["error"] == ("no memory" if how == "failed" else "")
    run.refresh_from_db()
    assert run.state == state


def test_a_run_that_goes_back_to_the_queue_has_not_ended(hook, project, monkeypatch, settings, tmp_path):
    settings.VAR = tmp_path
    run = Run.objects.create(project=project, kind=Run.Kind.REWARD)
    execution.claim(run.pk, "test").release("stopped")
    assert not WebhookDelivery.objects.exists()


def test_it_is_tried_again_later_and_later(hook, receiver, project):
    webhook, _ = hook
    delivery = keeping.test(webhook)
    receiver.answers = [(500, {})] * 9
    pauses = []
    for _ in range(9):
        assert not delivering.deliver(due(delivery).pk)
        delivery.refresh_from_db()
        pauses.append((delivery.due_at - timezone.now()).total_seconds())
    assert len({got["headers"]["webhook-id"] for got in receiver.got}) == 1
    for pause, least in zip(pauses[:8], delivering.PAUSES, strict=True):
        assert least - 2 <= pause <= 1.2 * least
    assert delivery.state == "failed" and [one["status"] for one in delivery.attempts] == [500] * 9
    assert not delivering.deliver(delivery.pk), "given up"
    delivering.again(delivery)
    assert delivering.deliver(due(delivery).pk), "until somebody asks"


def test_a_redirect_is_not_followed(hook, receiver):
    delivery = keeping.test(hook[0])
    receiver.answers = [(302, {"Location": f"http://{receiver.host}/inside"})]
    assert not delivering.deliver(due(delivery).pk)
    assert [got["path"] for got in receiver.got] == ["/hook?from=prefloop"]
    delivery.refresh_from_db()
    assert delivery.state == "waiting" and delivery.attempts[0]["status"] == 302


def test_gone_is_gone(hook, receiver):
    delivery = keeping.test(hook[0])
    receiver.answers = [(410, {})]
    assert not delivering.deliver(due(delivery).pk)
    webhook = Webhook.objects.get()
    assert not webhook.is_active and webhook.stopped_because == "It answered 410 Gone."
    delivery.refresh_from_db()
    assert delivery.state == "failed"


def test_a_name_that_turns_private_is_not_connected_to(hook, receiver, settings):
    delivery = keeping.test(hook[0])
    port = receiver.host.partition(":")[2]
    Webhook.objects.update(url=f"https://localhost:{port}/")
    settings.WEBHOOK_HOSTS = ["*"]
    assert not delivering.deliver(due(delivery).pk)
    delivery.refresh_from_db()
    assert receiver.got == [] and "not a public address" in delivery.attempts[0]["error"]


def test_who_is_not_there_is_told_later(hook, receiver):
    delivery = keeping.test(hook[0])
    receiver.shutdown()
    receiver.server_close()
    assert not delivering.deliver(due(delivery).pk)
    delivery.refresh_from_db()
    assert delivery.state == "waiting" and "ConnectionRefusedError" in delivery.attempts[0]["error"]


def test_the_sweep_sends_what_is_due(hook, sent):
    delivery = keeping.test(hook[0])
    assert delivering.sweep() == 0, "it has just been sent on commit"
    WebhookDelivery.objects.update(due_at=timezone.now() - timedelta(seconds=10))
    assert delivering.sweep() == 1 and sent == [delivery.pk]
    WebhookDelivery.objects.update(state="done", created_at=timezone.now() - timedelta(days=31))
    assert delivering.forget_old() == 1


def test_the_test_event(hook, receiver):
    delivering.deliver(keeping.test(hook[0]).pk)
    assert json.loads(receiver.got[0]["body"])["type"] == WebhookEvent.TEST
