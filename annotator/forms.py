"""The forms of the pages: a task's image, members. Projects' and imports' are in modules of their own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotator.models import Membership, Project, Role, User


class ImageForm(forms.Form):
    """A task's image and what it shows; a task that has one may keep it and change the words."""

    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("PNG, JPEG or WebP, at most 5 MB and 20 million pixels."),
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
    )
    image_text = forms.CharField(
        label=gettext_lazy("What the image shows"),
        help_text=gettext_lazy("For people who cannot see it."),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args: Any, has_image: bool, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "image_%s")
        super().__init__(*args, **kwargs)
        self.fields["file"].required = not has_image


class MemberForm(forms.Form):
    """Somebody who joins a project."""

    username = forms.CharField(
        label=gettext_lazy("User name"),
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Role.choices, initial=Role.ANNOTATOR)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project

    def clean_username(self) -> User:
        name = self.cleaned_data["username"]
        user = User.objects.filter(username=name, is_active=True).first()
        if user is None:
            raise forms.ValidationError(
                _("There is no account “%(name)s”. An administrator makes accounts.") % {"name": name}
            )
        if Membership.objects.filter(project=self.project, user=user).exists():
            raise forms.ValidationError(_("%(name)s is in the project already.") % {"name": name})
        return user
