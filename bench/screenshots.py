"""Makes the pictures in docs/images from a throw-away database: `python bench/screenshots.py [NAME ...]`.

Starts the site on a free port with its own folder, fills it (picture_*.py), and photographs pages
with the system's Chromium. Without names, all pictures are made. `--all-themes` adds, under
var/pictures, each page on a desktop and a phone, light and dark, in English and Chinese.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
IMAGES = ROOT / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
DESKTOP = {"width": 1366, "height": 768}
PHONE = {"width": 390, "height": 844}

LOOKS: dict[str, dict[str, Any]] = {
    "": {},
    "-dark": {"dark": True},
    "-phone": {"phone": True},
    "-chinese": {"chinese": True},
}
# format: (name of its light picture, project, its Chinese project, who, keys pressed before the picture)
FORMATS = {
    "ranking-pairwise": ("ranking", "support", "chinese", "carol", ""),
    "ranking-of-four": ("ranking-of-four", "release-notes", "chinese-four", "bob", "213"),
    "ranking-best-worst": ("ranking-best-worst", "short-texts", "chinese-best-worst", "bob", "a1"),
}
# name: (path, who, options). Options: phone, dark, chinese, keys.
PICTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    f"{name}{suffix}" if suffix else first: (
        f"/projects/{chinese if look.get('chinese') else slug}/rank/",
        who,
        {**look, "keys": keys},
    )
    for name, (first, slug, chinese, who, keys) in FORMATS.items()
    for suffix, look in LOOKS.items()
}
# Looked at by hand before a release.
PAGES: dict[str, tuple[str, str]] = {
    "login": ("/login/", ""),
    "home": ("/", "alice"),
    "home-annotator": ("/", "carol"),
    "missing": ("/projects/nowhere/", "alice"),
    "rank-pair": ("/projects/support/rank/", "carol"),
    "rank-four": ("/projects/release-notes/rank/", "carol"),
    "guidelines": ("/projects/support/guidelines/", "carol"),
    "prompts": ("/projects/support/prompts/", "alice"),
    "prompt": ("/projects/support/prompts/1/", "dana"),
    "import": ("/projects/support/import/", "alice"),
    "imports": ("/projects/imported/import/", "alice"),
    "import-undo": ("/projects/imported/import/{import_done}/undo/", "alice"),
    "import-undo-used": ("/projects/imported/import/{import_undo_used}/undo/", "alice"),
    **{
        f"import-{key}": (f"/projects/imported/import/{{import_{key}}}/", "alice")
        for key in ("done", "failed", "undone", "waiting", "inspecting", "ready", "votes", "pictures")
    },
    "comparisons": ("/projects/support/comparisons/", "alice"),
    "disagreements": ("/projects/answers/comparisons/?state=disagreement", "alice"),
    "comparison-disputed": ("/projects/answers/comparisons/{disputed}/", "alice"),
    "comparison-decided": ("/projects/answers/comparisons/{decided}/", "alice"),
    "comparison-gold": ("/projects/answers/comparisons/{gold}/", "dana"),
    "gold": ("/projects/answers/quality/gold/", "alice"),
    "gold-none": ("/projects/support/quality/gold/", "alice"),
    "notes": ("/projects/answers/notes/", "alice"),
    "notes-none": ("/projects/support/notes/", "alice"),
    "account": ("/account/", "bob"),
    "password": ("/account/password/", "bob"),
    "paused": ("/projects/answers/rank/", "erin"),
    "join": ("/join/{secret}/", ""),
    "join-closed": ("/join/nowhere/", ""),
    "members": ("/projects/answers/members/", "alice"),
    "member-paused": ("/projects/answers/members/{paused}/", "alice"),
    "quality": ("/projects/support/quality/", "alice"),
    "exports": ("/projects/support/exports/", "dana"),
    "exports-saved": ("/projects/answers/exports/?format=trl&min_agreement=50", "dana"),
    "exports-none": ("/projects/chinese/exports/", "dana"),
    "export-same": ("/projects/answers/exports/{export_same}/", "dana"),
    "export-changed": ("/projects/answers/exports/{export_changed}/", "dana"),
    "export-recalled": ("/projects/answers/exports/{export_recalled}/", "dana"),
    "export-queued": ("/projects/answers/exports/{export_queued}/", "dana"),
    "export-running": ("/projects/answers/exports/{export_running}/", "dana"),
    "export-failed": ("/projects/answers/exports/{export_failed}/", "dana"),
    "export-cancelled": ("/projects/answers/exports/{export_cancelled}/", "dana"),
    "my-judgments": ("/account/judgments/", "carol"),
    "my-judgments-none": ("/account/judgments/", "dana"),
    "member-withdrew": ("/projects/answers/members/{withdrew}/", "alice"),
    "quality-annotators": ("/projects/answers/quality/annotators/", "dana"),
    "comparison-researcher": ("/projects/answers/comparisons/{disputed}/", "dana"),
    "settings": ("/projects/support/settings/", "alice"),
    "project-create": ("/projects/new/", "alice"),
    "overview": ("/projects/support/", "alice"),
    "runs": ("/projects/support/runs/", "alice"),
    "models": ("/projects/support/models/", "alice"),
    "run-done": ("/projects/tuned/runs/{run_done}/", "dana"),
    "run-running": ("/projects/tuned/runs/{run_running}/", "alice"),
    "run-stopped": ("/projects/tuned/runs/{run_stopped}/", "alice"),
    "run-cancelled": ("/projects/tuned/runs/{run_cancelled}/", "alice"),
    "run-failed": ("/projects/tuned/runs/{run_failed}/", "alice"),
    "run-queued": ("/projects/release-notes/runs/{run_queued}/", "alice"),
    "run-empty": ("/projects/short-texts/runs/{run_empty}/", "alice"),
    "runs-tuned": ("/projects/tuned/runs/", "alice"),
    "compare": ("/projects/tuned/runs/compare/?{compared}", "dana"),
    "compare-choose": ("/projects/tuned/runs/compare/", "dana"),
    "compare-none": ("/projects/chinese/runs/compare/", "alice"),
    "models-tuned": ("/projects/tuned/models/", "alice"),
    "start-policy": ("/projects/tuned/runs/start/policy/", "alice"),
    "models-contest": ("/projects/contest/models/", "alice"),
    "runs-contest": ("/projects/contest/runs/?kind=policy", "alice"),
    "run-gamed": ("/projects/contest/runs/{contest_gamed_run}/", "alice"),
    "evaluation": ("/projects/contest/runs/{contest_evaluation}/", "alice"),
    "evaluation-unasked": ("/projects/contest/runs/{contest_unasked}/", "dana"),
    "promote-unevaluated": ("/projects/contest/models/{contest_unevaluated}/promote/", "alice"),
    "promote-gamed": ("/projects/contest/models/{contest_gamed}/promote/", "alice"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join([*PICTURES, *PAGES])}")
    parser.add_argument("--all-themes", action="store_true")
    options = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("No Chromium found. On Debian: apt-get install chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="prefloop-pictures-") as var, site(Path(var)) as address:
        photograph(address, browser, options.names, options.all_themes)
    return 0


@contextmanager
def site(var: Path) -> Iterator[str]:
    """The site with its own folder and data; gives its address, and ends it."""
    os.environ |= {
        "PREFLOOP_VAR": str(var),
        "SECRET_KEY": "pictures",
        "DEBUG": "0",
        "LOG_LEVEL": "ERROR",
        "DATABASE_URL": f"sqlite:///{var}/db.sqlite3",
        "DJANGO_SETTINGS_MODULE": "annotator.site.settings",
    }
    os.environ.setdefault("MODELS_DIR", str(ROOT / "var" / "models"))
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    import picture_contest
    import picture_data
    import picture_exports
    import picture_imports
    import picture_judged
    import picture_runs

    picture_data.fill()
    picture_judged.fill()
    picture_runs.fill()
    picture_contest.fill()
    picture_exports.fill()
    picture_imports.fill()
    with serving() as address:
        yield address


@contextmanager
def serving() -> Iterator[str]:
    """The site as the environment says, on a free port; gives its address, and ends it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "4"]
    command += ["--worker-class", "gthread", "--log-level", "error", "annotator.site.wsgi"]
    server = subprocess.Popen(command, cwd=ROOT)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/login/")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


def wait_for(url: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def photograph(address: str, executable: str, names: list[str], all_themes: bool) -> None:
    import picture_contest
    import picture_exports
    import picture_imports
    import picture_judged
    import picture_runs
    from playwright.sync_api import sync_playwright

    numbers = picture_judged.numbers() | picture_runs.numbers() | picture_contest.numbers()
    numbers |= picture_exports.numbers()
    numbers |= picture_imports.numbers()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        for name, (path, who, options) in PICTURES.items():
            if name in names or not (names or all_themes):
                take(browser, address, IMAGES / f"{name}.png", path, who, **options)
        for name, (path, who) in PAGES.items():
            if name in names or (all_themes and not names):
                for shape in variants() if all_themes else [{}]:
                    suffix = "-".join([name, *shape])
                    take(
                        browser,
                        address,
                        ROOT / "var" / "pictures" / f"{suffix}.png",
                        path.format(**numbers),
                        who,
                        **shape,
                    )
        browser.close()


def variants() -> list[dict[str, Any]]:
    return [
        {},
        {"dark": True},
        {"phone": True},
        {"chinese": True},
        {"phone": True, "dark": True, "chinese": True},
    ]


def take(
    browser: Any,
    address: str,
    file: Path,
    path: str,
    who: str,
    *,
    phone: bool = False,
    dark: bool = False,
    chinese: bool = False,
    keys: str = "",
) -> None:
    """Sign in, open the page, press the keys, and take the picture."""
    from picture_data import PASSWORD

    context = browser.new_context(
        viewport=PHONE if phone else DESKTOP,
        device_scale_factor=2 if phone else 1,
        color_scheme="dark" if dark else "light",
        locale="zh-CN" if chinese else "en-GB",
        has_touch=phone,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.on("console", lambda line: line.type == "error" and print(f"{file.name}: {line.text}"))
    page.on("pageerror", lambda error: print(f"{file.name}: {error}"))
    if who:
        page.goto(f"{address}/login/")
        page.fill("#id_username", who)
        page.fill("#id_password", PASSWORD)
        page.press("#id_password", "Enter")
        page.wait_for_url(f"{address}/")
    response = page.goto(address + path)
    page.wait_for_load_state("networkidle")
    if page.locator("[data-act=guidelines-read]").is_visible():
        page.keyboard.press("Enter")
    for key in keys:
        page.keyboard.press(key)
    file.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(file), full_page="/rank/" not in path)
    if file.parent == IMAGES:
        shrink(file)
    status = response.status if response else "no answer"
    print(f"{file.relative_to(ROOT)}  {path}  {status}")
    context.close()


def shrink(file: Path) -> None:
    """Write the PNG with a palette, a third of the size: a page has few colours."""
    from PIL import Image

    with Image.open(file) as picture:
        few = picture.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
