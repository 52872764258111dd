"""The forms by which a manager orders a comparison's instructions: to decide it, or as a gold answer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotator.models import Project, Verdict
from annotator.ranking.judgments import Judgment
from annotator.ranking.words import NUMBERS, in_words

TIE = "tie"
BY_VERDICT = {Verdict.ALL_BAD.value: "b", Verdict.CANNOT_JUDGE.value: "x"}
"""The keys of the ranking page."""


class Choices(forms.RadioSelect):
    """Radio buttons, each with the key that static/js/decide.js listens for."""

    def __init__(self, keys: dict[str, str]) -> None:
        super().__init__()
        self.keys = keys

    def create_option(self, name: str, value: Any, label: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(name, value, label, *args, **kwargs)
        if key := self.keys.get(str(value)):
            option["attrs"]["data-key"] = key
            option["label"] = _with_key(label, key)
        return option


class OrderForm(forms.Form):
    """What is right: for a pair one choice, else a verdict and a place for each instruction.

    Instructions have the numbers that they have on the page. Only what the project asks can be said.
    """

    is_decision = False
    """A decision may tie, says how strongly, and is given by keys; a gold answer only what is better."""

    def __init__(self, *args: Any, project: Project, shown: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        self.shown = shown
        self.is_pair = len(shown) == 2
        verdicts = [(Verdict.CANNOT_JUDGE.value, _("Cannot judge"))]
        if project.ask_all_bad:
            verdicts.insert(0, (Verdict.ALL_BAD.value, _("All bad")))
        if self.is_pair:
            orders = self._orders()
            keys = {value: str(place) for place, (value, _label) in enumerate(orders, start=1)}
            self._ask("choice", [*orders, *verdicts], keys | BY_VERDICT)
            self.order_fields(["choice"])
        else:
            order = Verdict.RANKED.value
            self._ask("verdict", [(order, _("An order")), *verdicts], {order: "o"} | BY_VERDICT)
            self.initial.setdefault("verdict", order)
            self._ask_places()

    def clean(self) -> dict[str, Any]:
        if not self.is_pair and self.cleaned_data.get("verdict") == Verdict.RANKED:
            for pk in self.shown:
                if f"rank-{pk}" in self.cleaned_data and self.cleaned_data[f"rank-{pk}"] is None:
                    self.add_error(f"rank-{pk}", _("Give it a place; equal places tie."))
        return self.cleaned_data

    def focus_on_error(self) -> None:
        """Let the page begin at the first field that was refused."""
        for name, field in self.fields.items():
            if name in self.errors:
                field.widget.attrs["autofocus"] = True
                return

    @property
    def verdict(self) -> str:
        said: str = self.cleaned_data["choice" if self.is_pair else "verdict"]
        return said if said in (Verdict.ALL_BAD, Verdict.CANNOT_JUDGE) else Verdict.RANKED.value

    @property
    def ranks(self) -> dict[int, int]:
        """The places given; none where the judgment is not an order."""
        if self.verdict != Verdict.RANKED:
            return {}
        if not self.is_pair:
            return {pk: self.cleaned_data[f"rank-{pk}"] for pk in self.shown}
        best = self.cleaned_data["choice"].partition("-")[0]
        return {
            pk: 1 if best in (TIE, number) else 2 for number, pk in zip(NUMBERS, self.shown, strict=False)
        }

    @property
    def strength(self) -> int | None:
        if not self.is_pair or self.verdict != Verdict.RANKED:
            return None
        strength = self.cleaned_data["choice"].partition("-")[2]
        return int(strength) if strength else None

    def _ask(self, name: str, choices: list[tuple[str, str]], keys: dict[str, str]) -> None:
        self.fields[name] = forms.ChoiceField(
            choices=choices,
            widget=Choices(keys if self.is_decision else {}),
            label=_("Judgment"),
            error_messages={"required": _("Choose one.")},
        )

    def _orders(self) -> list[tuple[str, str]]:
        """What can be said of a pair, from the first to the second: “1-3” is “1 is much better”."""
        strengths: tuple[int | None, ...] = (3, 2, 1) if self._has_strength else (None,)
        first, second = ({self.shown[0]: 1, self.shown[1]: 2}, {self.shown[0]: 2, self.shown[1]: 1})

        def said(number: str, ranks: dict[int, int], strength: int | None) -> tuple[str, str]:
            words = in_words(Verdict.RANKED, ranks, self.shown, strength, names=NUMBERS)
            return (number if strength is None else f"{number}-{strength}"), words

        ties = [(TIE, _("About the same"))] if self.is_decision and self.project.ask_tie else []
        return [
            *(said("1", first, strength) for strength in strengths),
            *ties,
            *(said("2", second, strength) for strength in reversed(strengths)),
        ]

    @property
    def _has_strength(self) -> bool:
        return self.is_decision and self.project.strength_scale

    def _ask_places(self) -> None:
        places = [("", "–"), *((place, place) for place in range(1, len(self.shown) + 1))]
        for number, pk in enumerate(self.shown, start=1):
            self.fields[f"rank-{pk}"] = forms.TypedChoiceField(
                choices=places,
                coerce=int,
                empty_value=None,
                required=False,
                label=_("Place of instruction %(number)d (1 is best)") % {"number": number},
            )
        self.order_fields(["verdict", *(f"rank-{pk}" for pk in self.shown)])


class DecisionForm(OrderForm):
    is_decision = True

    key = forms.CharField(max_length=64, widget=forms.HiddenInput)
    reason = forms.CharField(max_length=500, required=False, label=gettext_lazy("Why it cannot be judged"))
    rationale = forms.CharField(
        max_length=5000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        label=gettext_lazy("Why you decide so"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.project.ask_rationale:
            del self.fields["rationale"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        said = cleaned.get("choice" if self.is_pair else "verdict")
        if said == Verdict.CANNOT_JUDGE and not cleaned.get("reason"):
            self.add_error("reason", _("Say why it cannot be judged."))
        return cleaned

    @property
    def judgment(self) -> Judgment:
        return Judgment(
            verdict=self.verdict,
            ranks=self.ranks,
            strength=self.strength,
            reason=self.cleaned_data["reason"] if self.verdict == Verdict.CANNOT_JUDGE else "",
            rationale=self.cleaned_data.get("rationale", ""),
        )


class GoldForm(OrderForm):
    explanation = forms.CharField(
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        label=gettext_lazy("Why this is right (shown as feedback)"),
    )


def _with_key(label: object, key: str) -> SafeString:
    return format_html('{} <kbd aria-hidden="true">{}</kbd>', label, key)
