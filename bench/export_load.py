"""How fast rankings are exported, and in how much memory: `raw` and `trl`, as JSON Lines, with all that
belongs to an export.

    python bench/export_load.py                     a million rankings
    python bench/export_load.py --rankings 100000 --formats raw trl sft --json export.json

It fills an SQLite database that is gone afterwards, two votes on each comparison of two instructions, two
comparisons a task. Each export is a process of its own with a peak of its own; only the export is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SLUG = "load"
VOTES, COMPARISONS = 2, 2
"""Votes on a comparison; comparisons a task, each of two of its four instructions."""
ANNOTATORS = 50
SENTENCE = (
    "Read the customer's message and decide what the shop owes them under its rules: thirty days, the "
    "original packaging, a photograph of the damage. Write one friendly paragraph that names the next step, "
    "promises nothing else, gives the number of the order where there is one. Variant "
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rankings", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="+", default=["raw", "trl"])
    parser.add_argument(
        "--file-type", default="", help="jsonl, csv, parquet (default: as the format is read)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--child", nargs=2, metavar=("FORMAT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child and options.child[0] == "fill":
        fill(options.rankings)
        return
    if options.child:
        print(json.dumps(measure(*options.child, file_type=options.file_type)))
        return
    figures = run(options.rankings, options.formats, options.file_type)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def run(rankings: int, formats: list[str], file_type: str = "") -> dict[str, Any]:
    """Fill, export in every format, print a line each; the figures of all and of the slowest."""
    with tempfile.TemporaryDirectory(prefix="prefloop-export-") as var:
        env = {
            **os.environ,
            "PREFLOOP_VAR": var,
            "DATABASE_URL": f"sqlite:///{var}/db.sqlite3",
            "SECRET_KEY": "throw-away",
            "DJANGO_SETTINGS_MODULE": "annotator.site.settings",
            "PYTHONPATH": str(ROOT),
        }
        python = [sys.executable, str(Path(__file__).resolve())]
        began = time.monotonic()
        subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"], env=env, check=True
        )
        subprocess.run([*python, "--rankings", str(rankings), "--child", "fill", var], env=env, check=True)
        print(f"filled with {rankings:,} rankings in {time.monotonic() - began:.0f} s", flush=True)
        found = {}
        for name in formats:
            command = [*python, "--child", name, f"{var}/{name}", "--file-type", file_type]
            done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
            one = found[name] = json.loads(done.stdout)
            print(
                f"{name}: {one['lines']:,} lines, {one['megabytes']:,.0f} MB in {one['seconds']:.1f} s "
                f"({one['processor_seconds']:.1f} s of processor), "
                f"{one['rows_per_s']:,.0f} rankings a second, "
                f"peak {one['peak_mb']:.0f} MB",
                flush=True,
            )
    return {
        "export_rows_per_s": min(one["rows_per_s"] for one in found.values()),
        "export_peak_mb": max(one["peak_mb"] for one in found.values()),
        "export": {"rankings": rankings, "formats": found},
    }


def measure(name: str, folder: str, *, file_type: str) -> dict[str, Any]:
    """In a child: make one export and say what it took."""
    import django

    django.setup()
    from annotator.exports.export import write_export
    from annotator.exports.recipe import Recipe
    from annotator.exports.selection import Frozen
    from annotator.models import Project

    project = Project.objects.get(slug=SLUG)
    recipe = Recipe(name, file_type=file_type)
    began, used = time.monotonic(), time.process_time()
    manifest = write_export(project, recipe, frozen=Frozen.now(project), folder=Path(folder))
    seconds = time.monotonic() - began
    return {
        "lines": manifest.counts["lines"],
        "rankings": manifest.counts["rankings"],
        "megabytes": manifest.bytes / 1e6,
        "seconds": seconds,
        "processor_seconds": time.process_time() - used,
        "rows_per_s": manifest.counts["rankings"] / seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def fill(rankings: int) -> None:
    """In a child: the rows, by SQL alone."""
    import django

    django.setup()
    from django.db import connection

    from annotator.models import (
        Assignment,
        Comparison,
        Completion,
        Membership,
        Project,
        Prompt,
        Ranking,
        User,
    )

    project = Project.objects.create(name="Load", slug=SLUG, judgments_wanted=VOTES)
    people = User.objects.bulk_create(User(username=f"annotator{n}") for n in range(ANNOTATORS))
    Membership.objects.bulk_create(
        Membership(project=project, user=person, role="annotator", reliability=0.6 + 0.3 * (n % 2))
        for n, person in enumerate(people)
    )
    comparisons = rankings // VOTES
    prompts = comparisons // COMPARISONS
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")
    first = people[0].pk
    insert(
        Prompt,
        prompts,
        {
            "project_id": str(project.pk),
            "text": f"{quoted(SENTENCE)} || n",
            "hash": "printf('%%08x%%056x', (n * 2654435761) %% 4294967296, n)",
            "is_held_out": "(n * 2654435761) %% 4294967296 < 429496729",
        },
    )
    insert(
        Completion,
        4 * prompts,
        {
            "prompt_id": "(n + 3) / 4",
            "text": f"{quoted(SENTENCE)} || n",
            "text_hash": "CAST(n AS TEXT)",
        },
    )
    # Comparison c is of the prompt's first or last two instructions: 2c - 1 and 2c.
    both = "(2 * n - 1) || ',' || (2 * n)"
    insert(
        Comparison,
        comparisons,
        {
            "project_id": str(project.pk),
            "prompt_id": f"(n + {COMPARISONS - 1}) / {COMPARISONS}",
            "completions_key": both,
            "judgments_wanted": str(VOTES),
            "judgments_taken": str(VOTES),
        },
    )
    which = f"((n + {VOTES - 1}) / {VOTES})"
    annotator = f"{first} + (n * 7 + n / {ANNOTATORS}) %% {ANNOTATORS}"
    order = f"'[' || (2 * {which} - n %% 2) || ', ' || (2 * {which} - 1 + n %% 2) || ']'"
    given = {"comparison_id": which, "annotator_id": annotator, "order": order}
    insert(Assignment, rankings, {**given, "state": "'submitted'", "leased_until": "CURRENT_TIMESTAMP"})
    insert(
        Ranking,
        rankings,
        {
            **given,
            "assignment_id": "n",
            "ranks": f"""'{{"' || (2 * {which} - 1) || '": ' || (1 + n / 3 %% 2) || ', "' || (2 * {which}) """
            f"""|| '": ' || (2 - n / 3 %% 2) || '}}'""",
            "strength": "1 + n %% 3",
            "rationale": "CASE WHEN n %% 10 = 0 THEN 'It names the next step.' ELSE '' END",
            "seconds": "5 + n %% 30",
            "guideline_version": "1",
            "idempotency_key": "CAST(n AS TEXT)",
        },
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def insert(model: Any, count: int, given: dict[str, str]) -> None:
    """Rows with the ids 1 to `count`; columns that are not given have their field's default."""
    from django.db import connection

    columns, values, parameters = ['"id"'], ["n"], []
    for field in model._meta.concrete_fields:
        if field.primary_key:
            continue
        columns.append(f'"{field.column}"')
        if field.column in given:
            values.append(given[field.column])
        elif getattr(field, "auto_now_add", False):
            values.append("CURRENT_TIMESTAMP")
        elif field.null:
            values.append("NULL")
        else:
            values.append("%s")
            parameters.append(field.get_db_prep_save(field.get_default(), connection))
    series = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %s)"
    statement = f'INSERT INTO "{model._meta.db_table}" ({", ".join(columns)}) {series} '
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} SELECT {', '.join(values)} FROM s", [count, *parameters])


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


if __name__ == "__main__":
    main()
