"""The forms of accounts and of who takes part: signing up, one's own account, invitations, pauses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.forms import UserCreationForm
from django.utils.translation import gettext_lazy as _

from annotator.invitations import MOST_PLACES
from annotator.models import Invitation, Membership, Role, User

if TYPE_CHECKING:
    _SignUpForm = UserCreationForm[User]
    _AccountForm = forms.ModelForm[User]
else:
    _SignUpForm = UserCreationForm  # Django's own cannot be subscripted
    _AccountForm = forms.ModelForm


class SignUpForm(_SignUpForm):
    """A new account: a name, and a password twice, judged by Django's validators."""

    class Meta:
        model = User
        fields = ["username"]
        labels = {"username": _("User name")}
        help_texts = {"username": _("Letters, digits and @ . + - _ only. Managers see it.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs.update(
            {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        )
        self.fields["username"].widget.attrs.pop("autofocus", None)
        self.fields["password1"].help_text = _("At least 8 characters, not a common word, not your name.")
        self.fields["password2"].label = _("Password once more")
        self.fields["password2"].help_text = ""


class AccountForm(_AccountForm):
    class Meta:
        model = User
        fields = ["first_name"]
        labels = {"first_name": _("Name")}
        help_texts = {"first_name": _("How the pages call you. You still sign in with your user name.")}
        widgets = {"first_name": forms.TextInput(attrs={"autocomplete": "name"})}


class InvitationForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.ANNOTATOR)
    days = forms.TypedChoiceField(
        label=_("Valid for"),
        choices=[(1, _("1 day")), (7, _("7 days")), (30, _("30 days"))],
        coerce=int,
        initial=7,
    )
    places = forms.IntegerField(label=_("Places"), min_value=1, max_value=MOST_PLACES, initial=1)
    note = forms.CharField(
        label=_("For whom (optional)"),
        required=False,
        max_length=Invitation._meta.get_field("note").max_length,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    @property
    def lasts(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])


class PauseForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=Membership._meta.get_field("pause_reason").max_length,
        help_text=_("They read it on their page in place of the next comparison."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
