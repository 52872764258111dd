"""The forms of imports: a file with the steps of its preparation, and the steps alone to inspect it anew."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotator.models import Domain, PromptImport
from annotator.prompts import inspecting
from annotator.prompts.formats import families
from annotator.prompts.preparing import PreparationOptions

MOST_TOKENS = 100_000
DEFAULTS = PreparationOptions()
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")


class StepsForm(forms.Form):
    """The steps of preparation, each of which may be left out, and what the file does not say itself."""

    default_domain = forms.ChoiceField(
        label=gettext_lazy("Domain"),
        choices=Domain.choices,
        initial=Domain.GENERAL,
        help_text=gettext_lazy("For tasks whose line does not say."),
    )
    answers = forms.ChoiceField(
        label=gettext_lazy("Rows of instruction, input and output"),
        choices=[
            ("", gettext_lazy("The instruction is what people rank, for the task of its input and output")),
            ("1", gettext_lazy("The output is what people rank, for the task of its instruction and input")),
        ],
        required=False,
        help_text=gettext_lazy("As in Alpaca, Self-Instruct and BELLE."),
    )
    repair = forms.BooleanField(
        label=gettext_lazy("Repair damaged characters"),
        required=False,
        help_text=gettext_lazy("What a wrong encoding made of them: “cafÃ©” becomes “café”."),
    )
    nfkc = forms.BooleanField(
        label=gettext_lazy("Make special forms of characters plain (NFKC)"),
        required=False,
        help_text=gettext_lazy("“Ｆｕｌｌ ｗｉｄｔｈ”, “ﬁ” and “①” become “Full width”, “fi” and “1”."),
    )
    strip_html = forms.BooleanField(
        label=gettext_lazy("Remove HTML"),
        required=False,
        help_text=gettext_lazy("Not where tasks are about HTML."),
    )
    duplicates = forms.BooleanField(
        label=gettext_lazy("Leave out what is there already"),
        required=False,
        help_text=gettext_lazy("Lines that repeat all of another one."),
    )
    near_duplicates = forms.BooleanField(
        label=gettext_lazy("Leave out tasks that are nearly the same"),
        required=False,
        help_text=gettext_lazy("As another of the file or of the project."),
    )
    similarity = forms.FloatField(
        label=gettext_lazy("Nearly the same from"),
        min_value=0.5,
        max_value=1.0,
        help_text=gettext_lazy("Share of their short pieces that two tasks have in common, 0.5 to 1."),
        widget=forms.NumberInput(attrs={"step": "0.05"}),
    )
    contamination = forms.BooleanField(
        label=gettext_lazy("Leave out what gives held-out tasks away"),
        required=False,
        help_text=gettext_lazy("A model that has read them cannot be measured by them."),
    )
    personal = forms.ChoiceField(
        label=gettext_lazy("Personal data"),
        choices=[
            ("", gettext_lazy("Leave as it is")),
            ("flag", gettext_lazy("Count and show where")),
            ("mask", gettext_lazy("Replace by what it was, such as [email]")),
        ],
        required=False,
        help_text=gettext_lazy("E-mail addresses, phone numbers, identity and card numbers."),
    )
    min_tokens = forms.IntegerField(
        label=gettext_lazy("Shortest task"),
        min_value=0,
        max_value=MOST_TOKENS,
        help_text=gettext_lazy("In tokens of the generator; 0: no limit."),
    )
    max_tokens = forms.IntegerField(
        label=gettext_lazy("Longest task"),
        min_value=0,
        max_value=MOST_TOKENS,
        help_text=gettext_lazy("In tokens of the generator; 0: no limit."),
    )
    languages = forms.CharField(
        label=gettext_lazy("Only these languages"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("Codes such as en, zh-hans; empty: all."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, batch: PromptImport | None = None, **kwargs: Any) -> None:
        options, answers = inspecting.options_of(batch) if batch else (DEFAULTS, False)
        kwargs["initial"] = {
            **{one.name: getattr(options, one.name) for one in fields(options)},
            "languages": ", ".join(options.languages),
            "answers": "1" if answers else "",
            "default_domain": batch.default_domain if batch else Domain.GENERAL,
        } | kwargs.get("initial", {})
        super().__init__(*args, **kwargs)

    def clean_languages(self) -> tuple[str, ...]:
        codes = [code for code in re.split(r"[\s,;]+", self.cleaned_data["languages"].lower()) if code]
        for code in codes:
            if not _LANGUAGE.fullmatch(code):
                raise forms.ValidationError(_("“%(code)s” is not a language code.") % {"code": code[:40]})
        return tuple(dict.fromkeys(codes))

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        low, high = found.get("min_tokens") or 0, found.get("max_tokens") or 0
        if high and low > high:
            self.add_error("max_tokens", _("The longest is shorter than the shortest."))
        return found

    @property
    def options(self) -> PreparationOptions:
        """The steps as they were chosen; of a valid form."""
        return PreparationOptions(**{one.name: self.cleaned_data[one.name] for one in fields(DEFAULTS)})

    @property
    def are_answers_ranked(self) -> bool:
        """Of rows of instruction, input and output; of a valid form."""
        return bool(self.cleaned_data["answers"])

    @property
    def has_wrong_steps(self) -> bool:
        """Whether something is wrong in what is folded away."""
        return any(name in self.errors for name in self.fields if name not in ("file", "default_domain"))


class ImportForm(StepsForm):
    """A file and how to prepare it."""

    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("Format and encoding are recognised by the content."),
        widget=forms.FileInput(),
        allow_empty_file=True,
    )
    field_order = ["file"]


class FormatForm(forms.Form):
    """The form of a file's rows, as a manager says it is; empty: as its content tells."""

    family = forms.CharField(required=False, max_length=32)

    def clean_family(self) -> str:
        name: str = self.cleaned_data["family"]
        if name and name not in {family.name for family in families(answers=False)}:
            raise forms.ValidationError(_("“%(name)s” is not a format.") % {"name": name})
        return name
