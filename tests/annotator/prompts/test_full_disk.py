"""A disk without room, as the system says it: an import fails with that reason and leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from annotator.prompts import importing

CODE = """
import json, resource, signal, sys
import django
django.setup()
from django.core.files.base import ContentFile
from annotator.models import Project, Prompt
from annotator.prompts import importing, kept
from annotator.prompts.reading import ImportProblem
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
what, limit = sys.argv[1], int(sys.argv[2])

def no_larger_than(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

project = Project.objects.create(slug="small", name="Small")
content = "\\n".join(json.dumps(dict(text=f"Task number {n} of many: " + "x" * 200)) for n in range(2000))
said = ""
if what == "upload":
    no_larger_than(limit)
batch = None
try:
    batch = importing.create_import(
        project=project, name="a.jsonl", file=ContentFile(content.encode()), user=None,
        default_domain="general", send=False,
    )
except ImportProblem as problem:
    said = str(problem)
if batch is not None:
    if what == "inspection":
        no_larger_than(limit)
    importing.run_import(batch.pk)
    no_larger_than(resource.RLIM_INFINITY)
    batch.refresh_from_db()
    said = f"{batch.state}: {batch.error}"
    assert importing.inspect_again(batch, options=importing.inspecting.options_of(batch)[0], send=False)
no_larger_than(resource.RLIM_INFINITY)
left = [path.name for path in kept.path_of(kept.FOLDER).glob("*") if not path.name.endswith(".source")]
sources = len(list(kept.path_of(kept.FOLDER).glob("*.source")))
print(json.dumps(dict(said=said, left=left, sources=sources, prompts=Prompt.objects.count())))
"""


@pytest.mark.parametrize(
    ("what", "said", "sources"),
    [
        ("upload", "The file: there is no room for it on the disk.", 0),
        ("inspection", f"failed: {importing.NO_ROOM}", 1),
    ],
)
def test_no_room_is_said_and_leaves_nothing(tmp_path, what, said, sources):
    env = {
        **os.environ,
        "PREFLOOP_VAR": str(tmp_path),
        "SECRET_KEY": "tests-only",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "annotator.site.settings",
        "LOG_LEVEL": "CRITICAL",
    }
    subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], env=env, check=True, timeout=120)
    # Room for the database's own files, which are larger than what the limit is there to refuse.
    done = subprocess.run(
        [sys.executable, "-c", CODE, what, "200000"], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {"said": said, "left": [], "sources": sources, "prompts": 0}
