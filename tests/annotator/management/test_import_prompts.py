"""`import_prompts` says what it brought, or what was wrong."""

import io

import pytest
from django.core.management import CommandError, call_command

from annotator.models import Comparison, Membership, Project, Prompt, PromptImport
from annotator.prompts import importing
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def run(*words):
    out = io.StringIO()
    call_command("import_prompts", *map(str, words), stdout=out, stderr=io.StringIO())
    return out.getvalue()


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


@pytest.mark.parametrize(("project_words"), [["support"], ["fresh", "--create"]])
def test_a_bad_line_is_named_and_nothing_is_left(project, pairs, project_words):
    pairs.write_text(pairs.read_text() + "one column\n")
    with pytest.raises(CommandError, match=r"pairs\.tsv: Line 3: 1 columns") as error:
        run(project_words[0], pairs, *project_words[1:])
    assert error.value.returncode == 1
    assert not Prompt.objects.exists()
    assert list(Project.objects.all()) == [project]


def test_an_interrupt_leaves_nothing(project, pairs, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "_store", interrupt)
    with pytest.raises(CommandError, match="Interrupted") as error:
        run("support", pairs)
    assert error.value.returncode == 130
    assert not Prompt.objects.exists()
    assert PromptImport.objects.get().state == PromptImport.State.CANCELLED
