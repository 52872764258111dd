"""Dates are written as each language's readers expect them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.template import Context, Template
from django.utils.formats import date_format
from django.utils.translation import gettext, override

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 11, 9)


@pytest.mark.parametrize(
    ("language", "name", "written"),
    [
        ("en", "DATE_FORMAT", "9 November 2026"),
        ("en", "MONTH_DAY_FORMAT", "9 Nov"),
        ("en", "SHORT_DATE_FORMAT", "2026-11-09"),
        ("zh-hans", "DATE_FORMAT", "2026年11月9日"),
        ("zh-hans", "MONTH_DAY_FORMAT", "11月9日"),
        ("zh-hans", "SHORT_DATE_FORMAT", "2026-11-09"),
    ],
)
def test_days(language, name, written):
    with override(language):
        assert date_format(DAY, name) == written


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_moments_in_tables_are_digits_alone(language):
    moment = datetime(2026, 11, 9, 14, 5, tzinfo=UTC)
    with override(language):
        assert date_format(moment, "SHORT_DATETIME_FORMAT") == "2026-11-09 14:05"


@pytest.mark.parametrize(
    ("language", "forecast", "run"),
    [("en", "Monday, 9 November", "9 Nov, 14:05"), ("zh-hans", "11月9日 星期一", "11月9日 14:05")],
)
def test_formats_that_are_translated(language, forecast, run):
    moment = datetime(2026, 11, 9, 14, 5, tzinfo=UTC)
    with override(language):
        page = Template('{% load i18n %}{{ day|date:_("l, j F") }}').render(Context({"day": DAY}))
        assert page == forecast
        assert date_format(moment, gettext("j M, H:i")) == run


def test_no_template_writes_a_date_in_one_language_only():
    pattern = re.compile(r"""\|date:(?!_\()["']([^"']+)""")
    literal = {
        (file.name, name)
        for file in (ROOT / "templates").rglob("*.html")
        for name in pattern.findall(file.read_text(encoding="utf-8"))
        if name != "c" and not name.endswith("_FORMAT")
    }
    assert literal == set()
