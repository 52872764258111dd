"""The form by which a manager orders a comparison's instructions: to decide it, or as a gold answer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotator.models import Verdict
from annotator.ranking.submit import Judgment

VERDICTS = [
    (Verdict.RANKED, gettext_lazy("An order")),
    (Verdict.ALL_BAD, gettext_lazy("All bad")),
    (Verdict.CANNOT_JUDGE, gettext_lazy("Cannot judge")),
]


class OrderForm(forms.Form):
    """A verdict, and a place for each instruction by the number it has on the page."""

    verdict = forms.ChoiceField(
        choices=VERDICTS, widget=forms.RadioSelect, initial=Verdict.RANKED, label=gettext_lazy("Judgment")
    )

    def __init__(self, *args: Any, shown: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shown = shown
        places = [("", "–"), *((place, place) for place in range(1, len(shown) + 1))]
        for number, pk in enumerate(shown, start=1):
            self.fields[f"rank-{pk}"] = forms.TypedChoiceField(
                choices=places,
                coerce=int,
                empty_value=None,
                required=False,
                label=_("Place of instruction %(number)d (1 is best)") % {"number": number},
            )
        self.order_fields(["verdict", *(f"rank-{pk}" for pk in shown)])

    @property
    def ranks(self) -> dict[int, int]:
        """The places given; none where the judgment is not an order."""
        if self.cleaned_data["verdict"] != Verdict.RANKED:
            return {}
        given = {pk: self.cleaned_data[f"rank-{pk}"] for pk in self.shown}
        return {pk: rank for pk, rank in given.items() if rank is not None}


class DecisionForm(OrderForm):
    key = forms.CharField(max_length=64, widget=forms.HiddenInput)
    reason = forms.CharField(
        max_length=500, required=False, label=gettext_lazy("Why (needed where it cannot be judged)")
    )

    @property
    def judgment(self) -> Judgment:
        return Judgment(
            verdict=self.cleaned_data["verdict"], ranks=self.ranks, reason=self.cleaned_data["reason"]
        )


class GoldForm(OrderForm):
    explanation = forms.CharField(
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        label=gettext_lazy("Why this is right (shown as feedback)"),
    )
