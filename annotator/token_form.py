"""The form of a new personal token."""

from __future__ import annotations

from datetime import timedelta

from django import forms
from django.utils.translation import gettext_lazy as _

from annotator.models import Project, Scope, Token, User


class TokenForm(forms.Form):
    name = forms.CharField(
        label=_("What it is for"),
        max_length=Token._meta.get_field("name").max_length,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        choices=Scope.choices,
        initial=[Scope.READ],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Never more than you may do yourself."),
    )
    project = forms.ModelChoiceField(
        label=_("Project"),
        queryset=Project.objects.none(),
        required=False,
        empty_label=_("All of mine"),
    )
    days = forms.TypedChoiceField(
        label=_("Valid for"),
        choices=[
            (7, _("7 days")),
            (30, _("30 days")),
            (90, _("90 days")),
            (365, _("1 year")),
            (0, _("ever")),
        ],
        coerce=int,
        initial=30,
    )

    def __init__(self, *args: object, owner: User, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        projects = self.fields["project"]
        assert isinstance(projects, forms.ModelChoiceField)  # noqa: S101  declared above
        projects.queryset = Project.objects.visible_to(owner)

    @property
    def chosen(self) -> list[Scope]:
        return [Scope(name) for name in self.cleaned_data["scopes"]]

    @property
    def lasts(self) -> timedelta | None:
        return timedelta(days=self.cleaned_data["days"]) if self.cleaned_data["days"] else None
