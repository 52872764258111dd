"""Where a period begins, as a number."""

from datetime import UTC, datetime, timedelta

import pytest

from annotator.models import Ranking
from annotator.periods import first_since
from tests.factories import make_comparison, make_ranking

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def days(project, bob):
    """Numbers of rankings given on six days, one a day; the third is gone."""
    pks = []
    for day in range(6):
        make_comparison(project)
        ranking = make_ranking(project, bob)
        Ranking.objects.filter(pk=ranking.pk).update(created_at=START + timedelta(days=day))
        pks.append(ranking.pk)
    Ranking.objects.filter(pk=pks[2]).delete()
    return pks


def since(moment):
    pk = first_since(Ranking.objects.all(), "created_at", moment)
    return list(Ranking.objects.filter(pk__gte=pk).order_by("pk").values_list("pk", flat=True))


def test_all_rows_from_a_moment_on(days):
    assert since(START) == [days[0], days[1], *days[3:]]
    assert since(START + timedelta(hours=1)) == [days[1], *days[3:]]
    assert since(START + timedelta(days=2)) == days[3:]
    assert since(START + timedelta(days=5)) == days[5:]
    assert since(START + timedelta(days=6)) == []


def test_an_empty_table(db):
    assert since(START) == []


def test_it_reads_few_rows(days, django_assert_max_num_queries):
    with django_assert_max_num_queries(2 + 6):
        first_since(Ranking.objects.all(), "created_at", START + timedelta(days=3))
