"""`import_prompts` says what it brought, or what was wrong."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from annotator.models import Comparison, Membership, Project, Prompt, PromptImport
from annotator.prompts import kept, storing
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def run(*words):
    out = io.StringIO()
    call_command("import_prompts", *map(str, words), stdout=out, stderr=io.StringIO())
    return out.getvalue()


def left():
    """Files that imports keep."""
    folder = kept.path_of(kept.FOLDER)
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("Say the opposite.\tAntonyms\nGive an antonym.\tAntonyms\n")
    return path


def test_into_a_project_that_is_there(project, pairs):
    assert "1 new tasks" in run("support", pairs)
    assert Prompt.objects.get().project == project
    assert Comparison.objects.count() == 1


def test_into_a_new_project_with_a_manager(db, pairs):
    alice = make_user("alice")
    run("fresh", pairs, "--create", "--manager", "alice", "--domain", "writing")
    project = Project.objects.get(slug="fresh")
    assert Membership.objects.get(project=project, user=alice).role == "manager"
    assert Prompt.objects.get().domain == "writing"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no project “nowhere”.*support.*--create"),
        (["no where", "--create"], "address"),
        (["fresh", "--create", "--manager", "zoe"], "no user “zoe”"),
    ],
)
def test_what_is_wrong_with_the_project(project, pairs, words, message):
    with pytest.raises(CommandError, match=message):
        run(words[0], pairs, *words[1:])
    assert list(Project.objects.all()) == [project]


def test_a_file_that_is_not_there(project, tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        run("support", tmp_path / "nothing")
    with pytest.raises(CommandError, match="directory"):
        run("support", tmp_path)


def test_a_bad_line_is_named_and_the_others_come_in(project, pairs, tmp_path):
    pairs.write_text(pairs.read_text() + "one column\n")
    said = run("support", pairs, "--rejects", tmp_path / "rejects.jsonl")
    assert "Line 3: 1 columns" in said
    assert "1 could not be read" in said
    assert "1 new tasks" in said
    (row,) = map(json.loads, (tmp_path / "rejects.jsonl").read_text().splitlines())
    assert (row["line"], row["raw"]) == (3, "one column")


@pytest.mark.parametrize("project_words", [["support"], ["fresh", "--create"]])
@pytest.mark.parametrize(
    "content", ["a bad line of a strict file", "a file of nothing", "a file of no tasks"]
)
def test_what_is_refused_leaves_nothing(project, pairs, project_words, content):
    before = left()
    words = []
    if content == "a bad line of a strict file":
        pairs.write_text(pairs.read_text() + "one column\n")
        words, message = ["--strict"], r"pairs\.tsv: Line 3: 1 columns"
    elif content == "a file of nothing":
        pairs.write_text('{"text": 1}\n')
        message = r"pairs\.tsv: .*text"
    else:
        pairs.write_bytes(b"%PDF-1.7")
        message = r"pairs\.tsv: The file: it is a PDF"
    with pytest.raises(CommandError, match=message) as error:
        run(project_words[0], pairs, *project_words[1:], *words)
    assert error.value.returncode == 1
    assert not Prompt.objects.exists()
    assert not PromptImport.objects.exists()
    assert list(Project.all_objects.all()) == [project]
    assert left() == before


def test_a_dry_run_reports_and_leaves_nothing(project, pairs):
    before = left()
    said = run("support", pairs, "--dry-run")
    assert "2 rows: 2 tasks" in said
    assert "Nothing was stored" in said
    found = json.loads(run("fresh", pairs, "--create", "--dry-run", "--json"))
    assert (found["state"], found["report"]["kept"], found["counts"]) == ("ready", 2, {})
    assert not Prompt.objects.exists()
    assert not PromptImport.objects.exists()
    assert list(Project.objects.all()) == [project]
    assert left() == before


def test_json_says_what_came(project, pairs):
    found = json.loads(run("support", pairs, "--json"))
    assert (found["state"], found["project"], found["format"]) == ("done", "support", "tsv-pairs")
    assert found["counts"]["completions"] == 2


def test_the_steps_can_be_chosen(project, pairs):
    pairs.write_text("Say it.\tWrite to a@example.org about the cafÃ©\n")
    run("support", pairs, "--personal", "mask", "--no-repair")
    assert Prompt.objects.get().text == "Write to [email] about the cafÃ©"


def test_a_format_can_be_named(project, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"instruction": "Translate.", "input": "hello", "output": "hallo"}\n')
    run("support", path, "--answers")
    prompt = Prompt.objects.get()
    assert prompt.text.startswith("Translate.")
    assert prompt.completions.get().text == "hallo"


def test_an_interrupt_leaves_nothing(project, pairs, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(storing, "show", interrupt)
    with pytest.raises(CommandError, match="Interrupted") as error:
        run("support", pairs)
    assert error.value.returncode == 130
    assert not Prompt.objects.exists()
    assert not PromptImport.objects.exists()
