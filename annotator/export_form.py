"""The form of an export: format, filters, splits and kind of file, as a recipe."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.forms.widgets import Input
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotator.exports import counting, words
from annotator.exports.checking import InvalidRequest
from annotator.exports.formats import FORMATS
from annotator.exports.recipe import LICENSES, Recipe
from annotator.exports.selection import Selection, SplitPlan
from annotator.models import Completion, Domain, Project

RULE_WORDS = {
    "vote": gettext_lazy("Each vote for itself"),
    "majority": gettext_lazy("What most votes say"),
    "weighted": gettext_lazy("What most votes say, weighted by reliability"),
}
FILE_WORDS = {
    "": gettext_lazy("As its readers expect"),
    "jsonl": gettext_lazy("JSON Lines"),
    "jsonl.gz": gettext_lazy("JSON Lines, compressed (gzip)"),
    "json": gettext_lazy("JSON, one list"),
    "csv": gettext_lazy("CSV, for spreadsheets"),
    "csv.gz": gettext_lazy("CSV, compressed (gzip)"),
    "parquet": gettext_lazy("Parquet, for large data"),
}
FIELD_OF = {"file_type": "file", "gzip": "file", "splits": "train", "test": "train"}
"""Which field of the form shows what is wrong with one of the recipe."""


class PercentField(forms.FloatField):
    """A share, entered as percent."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=100, step_size=0.1, required=False, **kwargs)

    def clean(self, value: Any) -> float | None:
        number = super().clean(value)
        return None if number is None else number / 100


class ExportForm(forms.Form):
    """Every field may be left as it is. `recipe()` of a valid form is what to export."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=120, required=False)
    format = forms.ChoiceField(label=gettext_lazy("Format"), choices=(), initial="trl")
    rule = forms.ChoiceField(
        label=gettext_lazy("Preferences from votes"),
        choices=list(RULE_WORDS.items()),
        initial="vote",
        required=False,
        help_text=gettext_lazy("Where several people judged the same comparison."),
    )
    file = forms.ChoiceField(
        label=gettext_lazy("Kind of file"), choices=list(FILE_WORDS.items()), required=False
    )
    license = forms.ChoiceField(
        label=gettext_lazy("Licence"),
        choices=[(name, name) for name in LICENSES],
        initial="unknown",
        required=False,
        help_text=gettext_lazy("As the data set's card will say it."),
    )
    judgments = forms.ChoiceField(
        label=gettext_lazy("Given by"),
        choices=[
            ("all", gettext_lazy("Everybody")),
            ("real", gettext_lazy("People")),
            ("simulated", gettext_lazy("Simulated annotators")),
            ("imported", gettext_lazy("An imported file")),
        ],
        initial="all",
        required=False,
    )
    held_out = forms.ChoiceField(
        label=gettext_lazy("Held-out tasks"),
        choices=[
            ("include", gettext_lazy("With them")),
            ("leave out", gettext_lazy("Without them")),
            ("only", gettext_lazy("Only them")),
        ],
        initial="include",
        required=False,
        help_text=gettext_lazy("Do not train on them. With splits they are in “test”."),
    )
    domains = forms.MultipleChoiceField(
        label=gettext_lazy("Domains"), required=False, widget=forms.CheckboxSelectMultiple
    )
    languages = forms.MultipleChoiceField(
        label=gettext_lazy("Languages"), required=False, widget=forms.CheckboxSelectMultiple
    )
    sources = forms.MultipleChoiceField(
        label=gettext_lazy("Instructions"),
        choices=Completion.Source.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    iteration_from = forms.IntegerField(label=gettext_lazy("From iteration"), min_value=0, required=False)
    iteration_to = forms.IntegerField(label=gettext_lazy("To iteration"), min_value=0, required=False)
    given_from = forms.DateField(
        label=gettext_lazy("From day"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    given_to = forms.DateField(
        label=gettext_lazy("To day"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    min_reliability = PercentField(label=gettext_lazy("Annotator's reliability at least, %"))
    min_agreement = PercentField(label=gettext_lazy("Agreement at least, %"))
    train = PercentField(label=gettext_lazy("Train, %"), initial=100)
    validation = PercentField(label=gettext_lazy("Validation, %"), initial=0)

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.project = project
        there = counting.there_is(project)
        names = {"domains": dict(Domain.choices), "languages": dict(settings.LANGUAGES)}
        for field, values in there.items():
            self.choices(field, [(value, names[field].get(value, value)) for value in values])
        self.choices("format", [(name, words.label(name)) for name in FORMATS])
        for name in ("given_from", "given_to"):
            self.fields[name].widget.format = "%Y-%m-%d"
        for one in self.fields.values():
            if isinstance(one.widget, Input | forms.Select):
                one.widget.attrs["class"] = "input"

    def choices(self, field: str, choices: list[tuple[str, Any]]) -> None:
        self.fields[field].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        try:
            given["recipe"] = self._recipe(given)
        except InvalidRequest as problem:
            field = FIELD_OF.get(problem.field, problem.field)
            self.add_error(field if field in self.fields else None, problem.message)
        return given

    def recipe(self) -> Recipe:
        found: Recipe = self.cleaned_data["recipe"]
        return found

    def _recipe(self, given: dict[str, Any]) -> Recipe:
        form = FORMATS[given["format"]]
        file_type, _dot, packed = given["file"].partition(".")
        if file_type and file_type not in form.file_types:
            raise InvalidRequest(
                "file",
                _("%(format)s is not written as this; it is as %(kinds)s.")
                % {"format": words.label(form.name), "kinds": ", ".join(form.file_types)},
            )
        return Recipe(
            format=form.name,
            # A rule that the format does not know says nothing of it: the page leaves the field as it was.
            rule=given["rule"] if given["rule"] in form.rules else form.rules[0],
            selection=Selection(
                iteration_from=given["iteration_from"],
                iteration_to=given["iteration_to"],
                given_from=_midnight(given["given_from"]),
                given_before=_midnight(given["given_to"], days=1),
                min_reliability=given["min_reliability"],
                min_agreement=given["min_agreement"],
                domains=tuple(given["domains"]),
                languages=tuple(given["languages"]),
                sources=tuple(given["sources"]),
                judgments=given["judgments"] or "all",
                held_out=given["held_out"] or "include",
            ),
            splits=_splits(given["train"], given["validation"]),
            file_type=file_type,
            gzip=packed == "gz",
            license=given["license"] or "unknown",
        )


def _splits(train: float | None, validation: float | None) -> SplitPlan:
    """The rest is for testing."""
    train = 1.0 - (validation or 0.0) if train is None else train
    validation = validation or 0.0
    if train + validation > 1 + 1e-9:
        raise InvalidRequest("splits", _("Train and validation are more than 100 % together."))
    return SplitPlan(train, validation, max(0.0, round(1 - train - validation, 9)))


def _midnight(day: date | None, *, days: int = 0) -> datetime | None:
    """The beginning of the day (or of a later one), by the clock of UTC: the same wherever the site runs."""
    if day is None or (days and day == date.max):
        return None  # nothing is later than the last day there is
    return datetime.combine(day, time(), UTC) + timedelta(days=days)
