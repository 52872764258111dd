"""English is read on both sides of the Atlantic, so days and months are never only numbers in doubt."""

DATE_FORMAT = "j F Y"
MONTH_DAY_FORMAT = "j M"
SHORT_DATE_FORMAT = "Y-m-d"
SHORT_DATETIME_FORMAT = "Y-m-d H:i"
TIME_FORMAT = "H:i"
