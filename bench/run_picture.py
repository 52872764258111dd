"""Makes docs/images/run.png and overview.png: a real policy run, and its project's overview.

python bench/run_picture.py                 goes round a small loop first (some minutes)
python bench/run_picture.py --var FOLDER    takes an installation that has a policy run; works on a
                                            copy of its SQLite database
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from screenshots import ARGUMENTS, BROWSERS, DESKTOP, IMAGES, ROOT, serving

sys.path.insert(0, str(ROOT))
SMALL = ["--limit", "48", "--rankings", "300", "--steps", "12"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--var", type=Path, help="an installation with a policy run")
    options = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("No Chromium found. On Debian: apt-get install chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="prefloop-run-") as folder:
        database = Path(folder) / "db.sqlite3"
        if options.var:
            copy(options.var / "db.sqlite3", database)
        else:
            small_loop(database)
        photograph(database, browser)
    return 0


def copy(source: Path, target: Path) -> None:
    """A consistent copy, also of a database in use."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)


def small_loop(database: Path) -> None:
    """Go round a small loop with the embedded model in an installation of its own; keep its database."""
    from annotator.site.throwaway import throwaway

    with throwaway(models=ROOT / "var" / "models") as site:
        site.start_redis()
        for queue in ("light", "model"):
            site.start_worker(queue)
        site.start_beat()
        command = site.manage_command(
            "loop", "--here", "--output", str(database.parent / "loop.json"), *SMALL
        )
        subprocess.run(command, env=site.env, cwd=ROOT, check=True)
        copy(site.var / "db.sqlite3", database)


def photograph(database: Path, executable: str) -> None:
    """Serve the copy on a free port and photograph the newest policy run and its project."""
    os.environ |= {
        "PREFLOOP_VAR": str(database.parent),
        "SECRET_KEY": "pictures",
        "DEBUG": "0",
        "LOG_LEVEL": "ERROR",
        "DATABASE_URL": f"sqlite:///{database}",
        "DJANGO_SETTINGS_MODULE": "annotator.site.settings",
        "DJANGO_ALLOW_ASYNC_UNSAFE": "1",  # playwright runs a loop in this thread; nothing here is async
    }
    import django

    django.setup()
    from playwright.sync_api import sync_playwright

    from annotator.models import User
    from rlhf.models import Run

    run = Run.objects.filter(kind=Run.Kind.POLICY).select_related("project").latest("pk")
    User.objects.create_superuser("alice", password="pictures")
    with serving() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        page = browser.new_page(viewport=DESKTOP, locale="en-GB", reduced_motion="reduce")
        page.goto(f"{address}/login/")
        page.fill("#id_username", "alice")
        page.fill("#id_password", "pictures")
        page.press("#id_password", "Enter")
        page.wait_for_url(f"{address}/")
        for name, path in (("run", run.get_absolute_url()), ("overview", run.project.get_absolute_url())):
            page.goto(address + path)
            page.wait_for_load_state("load")
            page.wait_for_timeout(2000)  # the curves are fetched and drawn
            page.screenshot(path=str(IMAGES / f"{name}.png"), full_page=name == "overview")
            print(f"docs/images/{name}.png  {path}")
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
