"""When the queue will be empty, by hand."""

from datetime import date, timedelta

from annotator.quality.forecast import Forecast, forecast

TODAY = date(2026, 3, 12)


def test_idle_days_count():
    # 60 judgments on two of three days are 20 a day: 50 more take two and a half days.
    daily = {TODAY - timedelta(2): 40, TODAY: 20}
    assert forecast(50, daily, {}, TODAY) == Forecast(50, day=date(2026, 3, 15), pace=20)


def test_one_day_tells_hours_of_work_only():
    assert forecast(60, {TODAY: 40}, {9: 30, 11: 10}, TODAY) == Forecast(60, hours=3, pace=20)


def test_nothing_can_be_said():
    assert forecast(60, {}, {}, TODAY) == Forecast(60)
    assert forecast(60, {TODAY - timedelta(14): 100}, {9: 100}, TODAY) == Forecast(60)
    assert forecast(0, {TODAY: 100}, {9: 100}, TODAY) == Forecast(0)
