"""The queue hands out the right comparison, to the right person, the right number of times."""

import pytest

from annotator.ranking import queue
from tests.factories import make_comparison

pytestmark = pytest.mark.django_db


def test_it_gives_the_highest_priority_first(project, bob):
    make_comparison(project, priority=1)
    best = make_comparison(project, priority=2)
    assert queue.claim_next(annotator=bob, project=project).comparison == best
