"""Who writes to SQLite waits in a queue: in turn, for no longer than said, and never for the dead."""

import signal
import subprocess
import sys
import threading

import pytest
from django.db import OperationalError, connection, transaction

from annotator.models import Project
from annotator.site.sqlite.queue import WriteQueue, queue_at

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="another database queues by itself")

HOLD = """
import sys, time
from annotator.site.sqlite.queue import WriteQueue
assert WriteQueue(sys.argv[1]).wait(5)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other_process(tmp_path):
    """A process that holds the lock of a file, and that file."""
    path = str(tmp_path / "queue")
    process = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process, path
    process.kill()
    process.wait()


def test_it_waits_for_another_process_only_so_long(other_process):
    _, path = other_process
    assert not WriteQueue(path).wait(0.05)


def test_who_is_killed_lets_go(other_process):
    process, path = other_process
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert WriteQueue(path).wait(5)


def test_a_thread_waits_for_another_and_then_has_its_turn(tmp_path):
    queue = queue_at(str(tmp_path / "queue"))
    assert queue is queue_at(str(tmp_path / "queue"))
    assert queue.wait(0)
    assert not queue.wait(0.01)
    threading.Timer(0.05, queue.let_go).start()
    assert queue.wait(5)
    queue.let_go()


@pytest.mark.django_db(transaction=True)
def test_a_transaction_holds_the_queue_and_others_are_told_that_it_is_locked(monkeypatch):
    queue = queue_at(f"{connection.settings_dict['NAME']}-queue")
    with transaction.atomic():
        assert not queue.wait(0)
        with transaction.atomic():  # a savepoint takes no second turn
            assert not queue.wait(0)
        assert not queue.wait(0)
    assert queue.wait(0)
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.01)
    with pytest.raises(OperationalError, match="locked"), transaction.atomic():
        pass
    queue.let_go()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        1 / 0  # noqa: B018
    assert queue.wait(0)
    queue.let_go()


@pytest.mark.django_db(transaction=True)
def test_what_threads_read_and_write_in_transactions_is_never_lost():
    project = Project.objects.create(name="Counted", slug="counted", judgments_wanted=1)

    def count():
        for _ in range(20):
            with transaction.atomic():
                row = Project.objects.get(pk=project.pk)
                row.judgments_wanted += 1
                row.save()
        connection.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    project.refresh_from_db()
    assert project.judgments_wanted == 81
