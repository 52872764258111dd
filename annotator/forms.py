"""The forms of the pages: projects, imports, members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotator.models import Domain, Guideline, Membership, Project, ResponseFormat, Role, User

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Project]
else:
    _ModelForm = forms.ModelForm  # Django's own cannot be subscripted

RESERVED_SLUGS = {"new"}
MOST_SCALES = 6


class LinesField(forms.CharField):
    """A list of short texts, one a line."""

    widget = forms.Textarea(attrs={"rows": 5})

    def __init__(self, *, most: int, **kwargs: Any) -> None:
        self.most = most
        super().__init__(required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        lines = [" ".join(line.split()) for line in super().clean(value).splitlines()]
        unique = list(dict.fromkeys(line for line in lines if line))
        if len(unique) > self.most:
            raise forms.ValidationError(_("No more than %(most)d lines.") % {"most": self.most})
        if any(len(line) > 40 for line in unique):
            raise forms.ValidationError(_("Keep each line under 40 characters."))
        return unique


class ProjectForm(_ModelForm):
    """What a manager decides about a project; on founding it, a name is enough."""

    flags = LinesField(
        most=12,
        label=gettext_lazy("Flags"),
        help_text=gettext_lazy("Problems that people can mark on an instruction, one a line."),
    )
    attribute_scales = LinesField(
        most=MOST_SCALES,
        label=gettext_lazy("Scales"),
        help_text=gettext_lazy(
            "Asked for every instruction from 1 to 5, one a line, such as “clarity”. Each costs time."
        ),
    )
    guidelines = forms.CharField(
        required=False,
        max_length=50_000,
        widget=forms.Textarea(attrs={"rows": 14}),
        label=gettext_lazy("Guidelines"),
        help_text=gettext_lazy(
            "Markdown. People see them beside their work; a changed text is a new version, which everybody "
            "reads once before their next judgment."
        ),
    )

    class Meta:
        model = Project
        fields = [
            "name",
            "description",
            "language",
            "response_format",
            "completions_per_comparison",
            "judgments_wanted",
            "strength_scale",
            "flags",
            "attribute_scales",
            "held_out_share",
            "lease_seconds",
            "model",
        ]
        labels = {
            "name": gettext_lazy("Name"),
            "description": gettext_lazy("Description"),
            "language": gettext_lazy("Language of the guidelines"),
            "response_format": gettext_lazy("Format"),
            "completions_per_comparison": gettext_lazy("Shown together"),
            "judgments_wanted": gettext_lazy("Judgments wanted"),
            "strength_scale": gettext_lazy("Ask how much better"),
            "held_out_share": gettext_lazy("Share of tasks held out"),
            "lease_seconds": gettext_lazy("Seconds a comparison is kept for a person"),
            "model": gettext_lazy("Base model"),
        }
        help_texts = {
            "completions_per_comparison": gettext_lazy(
                "Instructions: 2 for pairs, 3 to 9 for rankings, best and worst."
            ),
            "judgments_wanted": gettext_lazy(
                "Of each comparison, by different people. 2 or more show agreement."
            ),
            "strength_scale": gettext_lazy("Slightly, better, or much better; only for pairs."),
            "held_out_share": gettext_lazy(
                "From 0 to 0.9. Never trained on, so that progress can be told from memory. Counts for tasks "
                "that are imported from now on."
            ),
            "lease_seconds": gettext_lazy("Renewed while the page is open; then others may get it."),
            "model": gettext_lazy("An embedded model, a folder or a .gguf file. Empty: the site's."),
        }
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["flags"].initial = self.instance.flags
        guideline = self.instance.guideline if self.instance.pk else None
        self.fields["guidelines"].initial = guideline.text if guideline else ""

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or self.cleaned_data
        k = data.get("completions_per_comparison")
        kind = data.get("response_format")
        if k is not None and kind == ResponseFormat.PAIRWISE and k != 2:
            self.add_error("completions_per_comparison", _("Pairs are of 2. Choose a ranking for more."))
        if k is not None and kind in (ResponseFormat.RANKING, ResponseFormat.BEST_WORST) and k < 3:
            self.add_error("completions_per_comparison", _("Needs 3 to 9. Choose pairs for 2."))
        return data

    def save_as(self, user: User) -> Project:
        """Store the project, and the guidelines as a new version if they have changed."""
        project = self.save(commit=False)
        if not project.pk:
            project.slug = free_slug(project.name)
            project.created_by = user
        project.save()
        if project.created_by == user and not project.memberships.exists():
            Membership.objects.create(project=project, user=user, role=Role.MANAGER)
        text = self.cleaned_data["guidelines"].replace("\r\n", "\n").strip()
        current = project.guideline
        if text != (current.text if current else ""):
            version = current.version + 1 if current else 1
            Guideline.objects.create(project=project, version=version, text=text, created_by=user)
        return project


def free_slug(name: str) -> str:
    """An address for the name that no project has yet: refunds, refunds-2, …"""
    base = slugify(name)[:70] or "project"
    slug, number = base, 1
    while slug in RESERVED_SLUGS or Project.objects.filter(slug=slug).exists():
        number += 1
        slug = f"{base}-{number}"
    return slug


class ImportForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("UTF-8 text; the format is recognised by its content."),
        widget=forms.FileInput(attrs={"accept": ".tsv,.txt,.csv,.jsonl,.ndjson,text/*,application/jsonl"}),
        allow_empty_file=True,
    )
    default_domain = forms.ChoiceField(
        label=gettext_lazy("Domain"),
        choices=Domain.choices,
        initial=Domain.GENERAL,
        help_text=gettext_lazy("For tasks whose line does not say."),
    )


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
