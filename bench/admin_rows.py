"""How long the admin's pages take on a large site: `python bench/admin_rows.py [--rankings 1000000]`.

Fills a throw-away SQLite with so many rankings and what belongs to them (by SQL, not one by one), opens every
list, a search, each filter's choices and a row of every model as a superuser through the test client, and
prints the median of some openings (by the clock, and of the processor alone) and the queries of each. The bar
is 300 ms by the clock, or with `--processor-time` of the processor; `--json FILE` writes all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
BAR_MS = 300
PEOPLE = 500
SMALL = 1_000
"""Comparisons of the small project beside the large one."""
START = "2026-01-01 00:00:00"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rankings", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="a folder whose database is filled once and used again")
    parser.add_argument("--only", default="", help="models whose label contains this")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="hold the processor's milliseconds to the bar, not the clock's: where others use the machine",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prefloop-admin-") as folder:
        var = options.keep or Path(folder)
        var.mkdir(parents=True, exist_ok=True)
        set_up(var)
        began = time.monotonic()
        fill(options.rankings)
        print(f"{options.rankings:,} rankings in {time.monotonic() - began:.0f} s")
        found = list(measure(options.repeats, options.only))
    for kind, name in (("ms", "by the clock"), ("processor_ms", "of the processor")):
        worst = max(found, key=lambda page: page[kind])
        middle = statistics.median(page[kind] for page in found)
        over = sum(page[kind] > BAR_MS for page in found)
        print(
            f"{len(found)} pages, {name}: median {middle:.0f} ms, slowest {worst[kind]:.0f} ms "
            f"({worst['page']}), over {BAR_MS} ms: {over}"
        )
    bar = "processor_ms" if options.processor_time else "ms"
    slow = [page for page in found if page[bar] > BAR_MS]
    if options.json:
        options.json.write_text(json.dumps({"rankings": options.rankings, "pages": found}, indent=1))
    return 1 if slow else 0


def set_up(var: Path) -> None:
    os.environ |= {
        "PREFLOOP_VAR": str(var),
        "SECRET_KEY": "bench",
        "LOG_LEVEL": "ERROR",
        "DATABASE_URL": f"sqlite:///{var}/db.sqlite3",
        "DJANGO_SETTINGS_MODULE": "annotator.site.settings",
        "ALLOWED_HOSTS": "testserver",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def fill(rankings: int) -> None:
    """A large project and a small one, their people, and a trace of everything that they did."""
    from django.db import connection

    from annotator.models import Membership, Project, Ranking, User
    from rlhf.models import Checkpoint, Run

    if Ranking.objects.exists():
        return
    large = Project.objects.create(name="Large", slug="large")
    small = Project.objects.create(name="Small", slug="small")
    people = User.objects.bulk_create(User(username=f"person{n:04}") for n in range(PEOPLE))
    Membership.objects.bulk_create(
        Membership(project=project, user=person, role="annotator")
        for project in (large, small)
        for person in people
    )
    runs = Run.objects.bulk_create(
        Run(project=large, kind="generation", state="done", total=1000) for _ in range(500)
    )
    checkpoint = Checkpoint.objects.create(project=large, kind="reward", name="reward", base_model="m")
    comparisons, prompts = rankings // 2, rankings // 10
    text = "Read the message and decide what the shop owes them under its rules. Variant "
    numbers = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i < {count}) "
    at = "datetime('2026-01-01', '+' || (i * {step}) || ' seconds')"
    project = f"CASE WHEN i % {comparisons // SMALL} = 0 THEN {small.pk} ELSE {large.pk} END"
    person = f"{people[0].pk} + i % {PEOPLE}"
    tables: list[tuple[int, str, dict[str, str]]] = [
        (
            prompts,
            "annotator_prompt",
            {
                "id": "i",
                "project_id": f"{large.pk}",
                "text": f"'{text}' || i",
                "hash": "printf('%064d', i)",
                "domain": "CASE WHEN i % 5000 = 0 THEN 'code' ELSE 'general' END",
                "language": "CASE WHEN i % 7000 = 0 THEN 'zh-hans' ELSE 'en' END",
                "is_held_out": "i % 10 = 0",
            },
        ),
        (
            2 * comparisons,
            "annotator_completion",
            {
                "id": "i",
                "prompt_id": f"1 + i % {prompts}",
                "text": f"'{text}' || i",
                "text_hash": "printf('%064d', i)",
                "source": "CASE WHEN i % 9000 = 0 THEN 'edited' ELSE 'model' END",
            },
        ),
        (
            comparisons,
            "annotator_comparison",
            {
                "id": "i",
                "project_id": project,
                "prompt_id": f"1 + i % {prompts}",
                "completions_key": "(2*i-1) || ',' || (2*i)",
                "rule": "CASE WHEN i % 8000 = 0 THEN 'gold' ELSE 'random' END",
                "is_queued": "i % 8000 != 0",
                "judgments_wanted": "2",
                "judgments_taken": "2",
                "is_closed": "i % 6000 = 0",
            },
        ),
        (
            2 * comparisons,
            "annotator_slot",
            {"id": "i", "comparison_id": "(i+1)/2", "completion_id": "i", "position": "i % 2"},
        ),
        (
            rankings,
            "annotator_assignment",
            {
                "id": "i",
                "comparison_id": "(i+1)/2",
                "annotator_id": person,
                "order": "'[' || i || ']'",
                "state": "CASE WHEN i % 5000 = 0 THEN 'expired' WHEN i % 5001 = 0 THEN 'leased' "
                "ELSE 'submitted' END",
                "leased_until": at.format(step=10),
            },
        ),
        (
            rankings,
            "annotator_ranking",
            {
                "id": "i",
                "comparison_id": "(i+1)/2",
                "assignment_id": "i",
                "annotator_id": person,
                "verdict": "CASE WHEN i % 5000 = 0 THEN 'all_bad' ELSE 'ranked' END",
                "is_live": "i % 7000 != 0",
                "is_adjudication": "i % 11000 = 0",
                "ranks": "'{}'",
                "rationale": f"'{text}' || i",
                "idempotency_key": "'key' || i",
                "seconds": "12.5",
            },
        ),
        (
            rankings,
            "annotator_auditentry",
            {
                "id": "i",
                "action": "CASE i % 5000 WHEN 0 THEN 'promoted' WHEN 1 THEN 'imported' ELSE 'signed in' END",
                "source": "CASE WHEN i % 4000 = 0 THEN 'command' ELSE 'page' END",
                "actor_id": person,
                "actor_name": f"printf('person%04d', i % {PEOPLE})",
                "project_id": project,
                "object_type": "'annotator.user'",
                "object_id": person,
                "object_name": f"printf('person%04d', i % {PEOPLE})",
                "changes": "'{}'",
            },
        ),
        (
            rankings // 2,
            "annotator_event",
            {
                "id": "i",
                "project_id": project,
                "actor_id": person,
                "verb": "CASE WHEN i % 5000 = 0 THEN 'promoted' ELSE 'exported' END",
                "subject": "'file ' || i",
            },
        ),
        (
            2 * comparisons,
            "rlhf_generation",
            {
                "id": "i",
                "completion_id": "i",
                "run_id": f"{runs[0].pk} + i % 500",
                "checkpoint_id": str(checkpoint.pk),
                "sampling": "'{}'",
                "logprob": "-12.5",
                "tokens": "40",
                "finished": "i % 6000 != 0",
            },
        ),
        (
            2 * comparisons,
            "rlhf_score",
            {
                "id": "i",
                "completion_id": "i",
                "checkpoint_id": f"CASE WHEN i % 4000 = 0 THEN NULL ELSE {checkpoint.pk} END",
                "mean": "0.5",
                "std": "0.1",
            },
        ),
        (
            rankings // 2,
            "rlhf_runrecord",
            {"id": "i", "run_id": f"{runs[0].pk} + i % 500", "step": "i / 500", "values": "'{}'"},
        ),
        (
            rankings // 10,
            "rlhf_runsample",
            {
                "id": "i",
                "run_id": f"{runs[0].pk} + i % 500",
                "step": "i / 500",
                "prompt_id": f"1 + i % {prompts}",
                "text": f"'{text}' || i",
            },
        ),
    ]
    with connection.cursor() as cursor:
        for count, table, given in tables:
            values = {**_defaults(table), **given}
            for column in ("at", "created_at"):
                if column in values:
                    values[column] = at.format(step=10)
            names = ", ".join(f'"{name}"' for name in values)
            cursor.execute(
                f'{numbers.format(count=count)} INSERT INTO "{table}" ({names}) '
                f"SELECT {', '.join(values.values())} FROM n"
            )


def _defaults(table: str) -> dict[str, str]:
    """What Django would store in the columns that nothing is said about."""
    from django.apps import apps
    from django.db import connection, models

    model = next(model for model in apps.get_models() if model._meta.db_table == table)
    values: dict[str, str] = {}
    for field in model._meta.concrete_fields:
        if field.primary_key or field.null:
            continue
        if isinstance(field, models.DateTimeField):
            values[str(field.column)] = f"'{START}'"
            continue
        value = field.get_db_prep_save(field.get_default(), connection) if field.has_default() else ""
        values[str(field.column)] = (
            str(int(value)) if isinstance(value, bool) else repr(str(value)) if value != "" else "''"
        )
    return values


def pages() -> Iterator[tuple[str, str]]:
    """(name, address) of everything that is opened."""
    from django.contrib import admin
    from django.test import RequestFactory
    from django.urls import reverse

    from annotator.models import User

    yield "dashboard", reverse("admin:index")
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(username="root")
    for model, model_admin in sorted(admin.site._registry.items(), key=lambda item: item[0]._meta.label):
        label, rows = model._meta.label, model._default_manager
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        changelist = reverse(f"{name}_changelist")
        yield f"{label} list", changelist
        if rows.order_by()[: 50 * 50].count() == 50 * 50:
            yield f"{label} list, page 50", f"{changelist}?p=50"
        for text in ("499", "person0123", "Variant 77"):
            yield f"{label} search {text}", f"{changelist}?q={text}"
        for given in model_admin.get_list_filter(request):
            for query in queries(given, model, model_admin, request):
                yield f"{label} {query}", f"{changelist}?{query}"
        row = rows.order_by("pk")[rows.order_by()[:10_000].count() // 2 :].first()
        if row is not None:
            yield f"{label} row", reverse(f"{name}_change", args=[row.pk])
            yield f"{label} history", reverse(f"{name}_history", args=[row.pk])


def queries(given: Any, model: Any, model_admin: Any, request: Any) -> Iterator[str]:
    """What can be chosen in a filter."""
    from annotator.admin.filters import PeriodFilter

    if isinstance(given, tuple):
        name, kind = given
        if kind is PeriodFilter:
            yield f"{name}_from=2026-01-20&{name}_to=2026-01-21"
            return
        field = model._meta.get_field(name.partition("__")[0])
        if field.is_relation and "__" not in name:
            for pk in field.related_model._default_manager.order_by("pk").values_list("pk", flat=True)[:2]:
                yield f"{name}__id__exact={pk}"
        elif field.choices:
            for value, _label in field.choices:
                yield f"{name}__exact={value}"
        return
    for value, _label in given(request, {}, model, model_admin).lookup_choices:
        yield f"{given.parameter_name}={value}"


def measure(repeats: int, only: str) -> Iterator[dict[str, Any]]:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from annotator.models import User

    root, _new = User.objects.get_or_create(username="root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(root)
    for name, address in pages():
        if only not in name:
            continue
        times, worked = [], []
        for _turn in range(repeats + 1):  # the first one compiles templates and warms the disk's cache
            began, busy = time.perf_counter(), time.process_time()
            status = client.get(address).status_code
            times.append(1000 * (time.perf_counter() - began))
            worked.append(1000 * (time.process_time() - busy))
        with CaptureQueriesContext(connection) as captured:
            client.get(address)
        if status != 200:
            raise SystemExit(f"{address} answered {status}")
        slowest = max(captured.captured_queries, key=lambda query: float(query["time"]))
        page = {
            "page": name,
            "ms": statistics.median(times[1:]),
            "processor_ms": statistics.median(worked[1:]),
            "first_ms": times[0],
            "queries": len(captured),
            "slowest_query": slowest["sql"][:2000] if float(slowest["time"]) > 0.1 else "",
        }
        print(
            f"{page['ms']:7.0f} ms {page['processor_ms']:6.0f} of the processor "
            f"{page['queries']:4} queries  {name}",
            flush=True,
        )
        yield page


if __name__ == "__main__":
    sys.exit(main())
