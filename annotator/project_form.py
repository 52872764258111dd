"""The form of a project: what a manager decides on founding it and in its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotator.models import Guideline, Membership, Project, ResponseFormat, Role, User

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Project]
else:
    _ModelForm = forms.ModelForm  # Django's own cannot be subscripted

RESERVED_SLUGS = {"new"}
MOST_SCALES = 6
NEVER_EMPTY = (
    *("language", "response_format"),
    *("completions_per_comparison", "judgments_wanted", "gold_rate", "gold_feedback", "repeat_rate"),
    *("qualification_questions", "pass_share", "fewest_seconds", "held_out_share", "lease_seconds"),
    "selection_strategy",
)
"""What is never empty: an empty field leaves it as it is."""


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


class PercentField(forms.FloatField):
    """A share that is stored as a fraction and written as percent."""

    def __init__(self, *, most: int, **kwargs: Any) -> None:
        super().__init__(required=False, min_value=0, max_value=most, step_size=0.1, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        # A fraction from the project; what was typed is a string and stays as it is.
        return f"{100 * value:.10g}" if isinstance(value, float) else value

    def clean(self, value: Any) -> Any:
        percent = super().clean(value)
        return None if percent is None else round(percent / 100, 6)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(None if initial is None else round(100 * initial, 6), data)


class ProjectForm(_ModelForm):
    """On founding a project a name is enough: a number or choice left empty stays as it is."""

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
    gold_rate = PercentField(
        most=50,
        label=gettext_lazy("Gold questions, percent"),
        help_text=gettext_lazy("How much of the work has a known answer. Needs gold questions to be made."),
    )
    repeat_rate = PercentField(
        most=50,
        label=gettext_lazy("Repeats, percent"),
        help_text=gettext_lazy("Asked a second time, swapped, to see whether people agree with themselves."),
    )
    pass_share = PercentField(
        most=100,
        label=gettext_lazy("To get right, percent"),
        help_text=gettext_lazy("Of the gold questions, in the qualification round and later."),
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
            "ask_tie",
            "ask_all_bad",
            "ask_rationale",
            "ask_improved",
            "flags",
            "attribute_scales",
            "show_reference",
            "show_own_quality",
            "gold_rate",
            "gold_feedback",
            "repeat_rate",
            "qualification_questions",
            "pass_share",
            "fewest_seconds",
            "auto_pause",
            "selection_strategy",
            "asks_reliable",
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
            "ask_tie": gettext_lazy("Allow “about the same”"),
            "ask_all_bad": gettext_lazy("Allow “all bad”"),
            "ask_rationale": gettext_lazy("Ask why"),
            "ask_improved": gettext_lazy("Ask for a better version"),
            "show_reference": gettext_lazy("Show the task's reference"),
            "show_own_quality": gettext_lazy("Show people their own agreement with others"),
            "gold_feedback": gettext_lazy("Tell people how they did"),
            "qualification_questions": gettext_lazy("Qualification round"),
            "fewest_seconds": gettext_lazy("Too fast, under seconds"),
            "auto_pause": gettext_lazy("Pause people by itself"),
            "selection_strategy": gettext_lazy("Choose new comparisons by"),
            "asks_reliable": gettext_lazy("Ask the more reliable half of those present"),
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
            "ask_tie": gettext_lazy("Only for pairs; a ranking may always have ties."),
            "ask_all_bad": gettext_lazy("Where no instruction is worth preferring."),
            "ask_rationale": gettext_lazy("A text box, never required."),
            "ask_improved": gettext_lazy("It is compared with the others later."),
            "show_reference": gettext_lazy("Folded, beside the task. It may sway people."),
            "show_own_quality": gettext_lazy("Under their count of the day."),
            "gold_feedback": gettext_lazy("On gold questions, right after they have answered."),
            "qualification_questions": gettext_lazy("Gold questions before the real work; 0: none."),
            "fewest_seconds": gettext_lazy(
                "Somebody who gives half of their judgments faster is too fast; 0: nobody is."
            ),
            "auto_pause": gettext_lazy(
                "When they fail gold questions, contradict themselves, are too fast or follow the position. "
                "You can lift it."
            ),
            "selection_strategy": gettext_lazy(
                "A fifth is random under each, to judge the model by. Before there is a reward model all are."
            ),
            "asks_reliable": gettext_lazy(
                "Drawn anew every ten minutes; the others see that it is not their turn. It saves judgments "
                "where some are careless; where all are careful it only makes half of them wait."
            ),
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
        for name in ("flags", "gold_rate", "repeat_rate", "pass_share"):
            self.fields[name].initial = getattr(self.instance, name)
        guideline = self.instance.guideline if self.instance.pk else None
        self.fields["guidelines"].initial = guideline.text if guideline else ""
        for name, field in self.fields.items():
            field.required = name == "name"

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or self.cleaned_data
        for name in NEVER_EMPTY:
            if name in data and data[name] in (None, ""):
                data[name] = getattr(self.instance, name)
        k = data.get("completions_per_comparison")
        kind = data.get("response_format")
        if k is not None and kind == ResponseFormat.PAIRWISE and k != 2:
            self.add_error("completions_per_comparison", _("Pairs are of 2. Choose a ranking for more."))
        if k is not None and kind in (ResponseFormat.RANKING, ResponseFormat.BEST_WORST) and k < 3:
            self.add_error("completions_per_comparison", _("Needs 3 to 9. Choose pairs for 2."))
        return data

    def save_as(self, user: User) -> Project:
        """Store the project, and the guidelines as a new version if they have changed."""
        return store(self.save(commit=False), user, guidelines=self.cleaned_data["guidelines"])


def store(project: Project, user: User, *, guidelines: str | None = None) -> Project:
    """Store a project; its founder manages it. Guidelines that differ are a new version (None: as is)."""
    if not project.pk:
        project.slug = free_slug(project.name)
        project.created_by = user
    project.save()
    if project.created_by == user and not project.memberships.exists():
        Membership.objects.create(project=project, user=user, role=Role.MANAGER)
    current = project.guideline
    text = guidelines.replace("\r\n", "\n").strip() if guidelines is not None else None
    if text is not None and text != (current.text if current else ""):
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
