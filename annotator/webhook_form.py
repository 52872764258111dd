"""The form of a webhook."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from annotator.webhooks import addresses, keeping


class WebhookForm(forms.Form):
    url = forms.CharField(
        label=_("Address"),
        max_length=addresses.LONGEST,
        widget=forms.URLInput(
            attrs={"autocomplete": "off", "placeholder": "https://hooks.example.org/prefloop"}
        ),
    )
    events = forms.MultipleChoiceField(
        label=_("When"),
        choices=[(event.value, event.label) for event in keeping.OFFERED],
        initial=[event.value for event in keeping.OFFERED],
        widget=forms.CheckboxSelectMultiple,
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        try:
            addresses.check(url)
        except addresses.NotAllowed as error:
            raise forms.ValidationError(str(error)) from error
        return url
