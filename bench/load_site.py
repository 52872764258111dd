"""The site that annotation_load.py drives: its web server, its rows, and what became of them."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from typing import Any

import psutil

from annotator.site import servers
from annotator.site.throwaway import Site

SLUG, PASSWORD = "load", "for the load only"
CHUNK = 100_000
GOLD_QUESTIONS = 40
WORDS = (
    "Read the customer's message and decide what the shop owes them under its rules: thirty days, the "
    "original packaging, a photograph of the damage. Write one friendly paragraph that names the next step, "
    "promises nothing else, gives the number of the order where there is one, and ends with a question only "
    "if something is still missing for the answer to be complete. Variant "
)


class Web:
    """The web server as `make run` starts it, without the keeper: here it is killed on purpose."""

    def __init__(self, site: Site) -> None:
        self.site, self.spent = site, 0.0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.process = self._start()
        self._wait()

    def _start(self) -> subprocess.Popen[bytes]:
        command = servers.web_command(host="127.0.0.1", port=self.port)
        with (self.site.logs / "web.log").open("ab") as log:
            return subprocess.Popen(
                command, env=self.site.env, stdout=log, stderr=log, start_new_session=True
            )

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/login/", timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"the site did not start: {self.site.log('web')[-2000:]}") from None
                time.sleep(0.1)

    def kill(self) -> None:
        """kill -9 for all its processes, then start it again at once."""
        self.spent = self.cpu()
        for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
            process.kill()
        self.process.wait()
        self.process = self._start()

    def cpu(self) -> float:
        """Seconds of CPU since the beginning, of all its processes."""
        return self.spent + cpu_of(psutil.Process(self.process.pid))

    def stop(self) -> None:
        servers.stop(self.process, seconds=10)


def cpu_of(root: psutil.Process) -> float:
    """Seconds of CPU of a process and those below it, the ended ones included."""
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return float(total)


def postgres_process(url: str) -> psutil.Process:
    """The PostgreSQL server that listens on the URL's port."""
    port = f"port={url.rpartition(':')[2].partition('/')[0]}"
    found = [
        process for process in psutil.process_iter(["cmdline"]) if port in (process.info["cmdline"] or [])
    ]
    return min(found, key=lambda process: process.create_time())


def fill(*, comparisons: int, overlap: int, annotators: int, plain: bool) -> float:
    """A project with tasks, two instructions and a comparison each, and its people; the seconds it took."""
    from django.contrib.auth.hashers import make_password
    from django.db import connection

    from annotator.models import Comparison, GoldAnswer, Guideline, Membership, Project, Role, User

    began = time.monotonic()
    rates = {"gold_rate": 0, "repeat_rate": 0} if plain else {}
    project = Project.objects.create(name="Load", slug=SLUG, judgments_wanted=overlap, **rates)
    Guideline.objects.create(project=project, version=1, text=f"Prefer the *clearer* one. {WORDS}")
    password = make_password(PASSWORD)
    people = User.objects.bulk_create(User(username=name, password=password) for name in names(annotators))
    Membership.objects.bulk_create(
        Membership(project=project, user=person, role=Role.ANNOTATOR) for person in people
    )
    gold = 0 if plain else GOLD_QUESTIONS
    for first in range(1, comparisons + gold + 1, CHUNK):
        _fill_rows(project.pk, first, min(first + CHUNK - 1, comparisons + gold), overlap)
    golden = Comparison.objects.filter(pk__gt=comparisons)
    golden.update(rule=Comparison.Rule.GOLD, is_queued=False, judgments_wanted=min(annotators * 50, 30_000))
    GoldAnswer.objects.bulk_create(
        GoldAnswer(comparison_id=pk, ranks={str(2 * pk - 1): 1, str(2 * pk): 2})
        for pk in golden.values_list("pk", flat=True)
    )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for table in ("prompt", "completion", "comparison", "slot"):
                cursor.execute(
                    f"SELECT setval(pg_get_serial_sequence('annotator_{table}', 'id'), "
                    f"(SELECT max(id) FROM annotator_{table}))"
                )
        cursor.execute("ANALYZE")
    return time.monotonic() - began


def empty() -> None:
    """Take back all that was judged, so that every stage begins with every comparison open."""
    from annotator.models import Assignment, Comparison, Ranking

    Ranking.objects.all().delete()
    Assignment.objects.all().delete()
    Comparison.objects.filter(rule=Comparison.Rule.REPEAT).delete()
    Comparison.objects.filter(judgments_taken__gt=0).update(judgments_taken=0)


def names(annotators: int) -> list[str]:
    return [f"annotator{number}" for number in range(1, annotators + 1)]


def _fill_rows(project: int, first: int, last: int, overlap: int) -> None:
    """Prompts `first` to `last`; prompt n has completions 2n-1 and 2n and comparison n."""
    from annotator.models import Comparison, Completion, Prompt, Slot

    text = "%s || CAST(n AS TEXT)"
    _insert(
        Prompt, first, last, {"id": "n", "project_id": str(project), "text": text, "hash": "CAST(n AS TEXT)"}
    )
    odd, even, both = 2 * first - 1, 2 * last, "(n + 1) / 2"
    of_prompt = {"id": "n", "prompt_id": both, "text": text, "text_hash": "CAST(n AS TEXT)"}
    _insert(Completion, odd, even, of_prompt)
    key = "CAST(2 * n - 1 AS TEXT) || ',' || CAST(2 * n AS TEXT)"
    compared = {"id": "n", "project_id": str(project), "prompt_id": "n", "completions_key": key}
    _insert(Comparison, first, last, {**compared, "judgments_wanted": str(overlap)})
    place = {"id": "n", "comparison_id": both, "completion_id": "n", "position": "n - 2 * ((n - 1) / 2)"}
    _insert(Slot, odd, even, place)


def _insert(model: Any, first: int, last: int, given: dict[str, str]) -> None:
    """Rows from a series; columns that are not given have their field's default."""
    from django.db import connection

    columns, values, parameters = [], [], []
    for field in model._meta.concrete_fields:
        columns.append(f'"{field.column}"')
        if field.column in given:
            values.append(given[field.column])
            parameters += [WORDS] * given[field.column].count("%s")
        elif getattr(field, "auto_now_add", False):
            values.append("CURRENT_TIMESTAMP")
        elif field.null:
            values.append("NULL")
        else:
            values.append("%s")
            parameters.append(field.get_db_prep_save(field.get_default(), connection))
    series = "WITH RECURSIVE s(n) AS (SELECT CAST(%s AS INTEGER) UNION ALL SELECT n + 1 FROM s WHERE n < %s)"
    into = f'INSERT INTO "{model._meta.db_table}" ({", ".join(columns)})'
    statement = f"{into} {series} SELECT {', '.join(values)} FROM s"
    with connection.cursor() as cursor:
        cursor.execute(statement, [first, last, *parameters])


def judged_too_often() -> int:
    """Comparisons with more live judgments than were wanted."""
    from django.db.models import Count, F

    from annotator.models import Ranking

    counts = Ranking.objects.filter(is_live=True).values("comparison").annotate(given=Count("pk"))
    return counts.filter(given__gt=F("comparison__judgments_wanted")).count()


def lost(keys: list[str]) -> int:
    """Judgments that were answered with 200 and are not in the database."""
    from annotator.models import Ranking

    stored = set(Ranking.objects.values_list("idempotency_key", flat=True).iterator())
    return len(set(keys) - stored)
