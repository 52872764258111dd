"""The rules of the layout: who may import whom, what the site must not load, how long a module may be."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST_MODULE = 400
MODULES = [
    path
    for package in ("annotator", "rlhf")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "migrations" not in path.parts
]


def python(code: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "DEBUG": "1", "DJANGO_SETTINGS_MODULE": "annotator.site.settings"}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)


def test_the_import_contracts_hold():
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_the_contracts_can_fail(tmp_path):
    """A linter that reads no module would pass everything."""
    for package, line in {"annotator": "import rlhf.models", "rlhf": ""}.items():
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(line + "\n")
    (tmp_path / "rlhf" / "models.py").write_text("")
    (tmp_path / "rlhf" / "lm").mkdir()
    (tmp_path / "rlhf" / "lm" / "__init__.py").write_text("import rlhf.models\n")
    contracts = (ROOT / "pyproject.toml").read_text()
    for name in ("snapshots", "runs", "tasks", "views", "stages", "management"):
        (tmp_path / "rlhf" / f"{name}.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(contracts)
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1, result.stdout
    assert "0 kept, 2 broken" in result.stdout


def test_the_site_does_not_load_torch():
    code = (
        "import sys, django; django.setup()\n"
        "import annotator.site.urls, annotator.site.wsgi, annotator.tasks, rlhf.tasks, rlhf.runs\n"
        "from django.urls import get_resolver; get_resolver().url_patterns\n"
        "from django.contrib import admin; assert admin.site._registry\n"
        "heavy = {'torch', 'transformers', 'peft', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr


def test_rlhf_lm_loads_without_django():
    modules = [f"rlhf.lm.{path.stem}" for path in sorted((ROOT / "rlhf/lm").glob("[!_]*.py"))]
    assert len(modules) > 5
    code = f"import sys, {', '.join(modules)}\nsys.exit('loaded Django' if 'django' in sys.modules else 0)"
    result = python(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_and_stays_short(path):
    source = path.read_text()
    assert ast.get_docstring(ast.parse(source)), "no module docstring"
    assert len(source.splitlines()) <= LONGEST_MODULE


def test_migrations_have_names():
    for path in [*ROOT.glob("*/migrations/[0-9]*.py")]:
        assert "_auto_" not in path.name


def test_models_and_migrations_agree():
    result = python(
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('makemigrations', check=True, dry_run=True)\n"
    )
    assert result.returncode == 0, result.stdout + result.stderr
