"""How many judgments a second the site takes, and whether each is stored exactly once.

Starts the site's web server as `make run` does, on a free port with a folder of its own; fills a project
with comparisons; lets annotators claim and submit over HTTP without think time; checks the database.

    .venv/bin/python bench/annotation_load.py [--database postgres] [--comparisons 1000000] [--kill 3]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]


def main() -> int:
    options = arguments()
    from annotator.site.throwaway import throwaway
    from tests.servers import postgres

    with ExitStack() as stack:
        database, more = None, {"LOG_LEVEL": "WARNING"}
        if options.database == "postgres":
            more["DATABASE_URL"] = database = stack.enter_context(postgres(durable=True))
        site = stack.enter_context(throwaway(models=ROOT / "var" / "models", **more))
        os.environ.update(site.env)
        import django
        import load_site

        django.setup()
        took = load_site.fill(
            comparisons=options.comparisons,
            overlap=options.overlap,
            annotators=max(options.annotators),
            plain=options.plain,
        )
        print(f"{options.database}, {options.comparisons:,} comparisons, filled in {took:.1f} s", flush=True)
        if options.all_processes:
            site.start_redis()
            for queue in ("light", "model", "refit"):
                site.start_worker(queue)
            site.start_beat()
        web = load_site.Web(site)
        stack.callback(web.stop)
        server = load_site.postgres_process(database) if database else None
        runs = [stage(web, server, number, options) for number in options.annotators]
        for run in runs:
            run["fill_seconds"] = round(took, 1)
    if options.json:
        options.json.write_text(json.dumps({"runs": runs}, indent=2) + "\n")
    return 1 if any(run["errors"] or run["twice"] or run["lost"] for run in runs) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--comparisons", type=int, default=10_000, help="how many to fill (default 10,000)")
    parser.add_argument("--overlap", type=int, default=1, help="judgments wanted of each (default 1)")
    parser.add_argument("--annotators", type=numbers, default=[1, 8, 32], help="stages (default 1,8,32)")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a stage (default 20)")
    parser.add_argument("--door", choices=["api", "page"], default="api", help="the API, or the page's URLs")
    parser.add_argument("--plain", action="store_true", help="neither gold questions nor repeats")
    parser.add_argument("--kill", type=int, default=0, help="kill -9 the web server so often in each stage")
    parser.add_argument(
        "--all-processes", action="store_true", help="also Redis, workers and beat (default: web only)"
    )
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def stage(web: Any, server: Any, annotators: int, options: argparse.Namespace) -> dict[str, Any]:
    """Drive so many annotators for a while; the figures, which are printed too."""
    import load_site

    load_site.empty()
    plan = {
        "port": web.port,
        "slug": load_site.SLUG,
        "password": load_site.PASSWORD,
        "names": load_site.names(annotators),
        "seconds": options.seconds,
        "door": options.door,
        "kills": options.kill,
    }
    command = [sys.executable, str(ROOT / "bench" / "load_driver.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdin and driver.stdout
        driver.stdin.write(json.dumps(plan) + "\n")
        driver.stdin.flush()
        if driver.stdout.readline().strip() != "ready":
            raise RuntimeError("the annotators could not sign in")
        before, database_before = web.cpu(), load_site.cpu_of(server) if server else 0.0
        driver.stdin.write("go\n")
        driver.stdin.flush()
        for _ in range(options.kill):
            time.sleep(options.seconds / (options.kill + 1))
            web.kill()
        result = json.loads(driver.stdout.readline())
    cpu = web.cpu() - before
    database_cpu = load_site.cpu_of(server) - database_before if server else 0.0
    judged = max(1, len(result["stored"]))
    run = {
        "annotators": annotators,
        "database": options.database,
        "comparisons": options.comparisons,
        "door": options.door,
        "judgments": len(result["stored"]),
        "judgments_per_s": round(len(result["stored"]) / result["seconds"], 1),
        **percentiles("claim", result["claims"]),
        **percentiles("submit", result["submits"]),
        **percentiles("both", result["pairs"]),
        "errors": len(result["problems"]),
        "twice": load_site.judged_too_often(),
        "lost": load_site.lost(result["stored"]),
        "server_cpu_ms_per_judgment": round(1000 * cpu / judged, 2),
        "database_cpu_ms_per_judgment": round(1000 * database_cpu / judged, 2),
        "driver_cpu_share": round(result["driver_cpu"] / result["seconds"], 3),
        "requests": result["requests"],
        "retries": result["retries"],
        "empty": result["empty"],
        "kills": options.kill,
    }
    for name, value in run.items():
        print(f"  {name:30} {value}")
    for problem in result["problems"][:3]:
        print(f"  {problem}")
    print(flush=True)
    return run


def percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {
        f"{name}_p{p}_ms": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * p // 100)], 1)
        for p in (50, 95, 99)
    }


if __name__ == "__main__":
    sys.exit(main())
