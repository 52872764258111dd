"""What the forms that start runs have in common. An empty field means the default."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from annotator.models import Project, User
from rlhf.lm.config_bounds import BOUNDS
from rlhf.models import Checkpoint, Run
from rlhf.stage_configs import fill_in


class StartForm(forms.Form):
    """Starts one run of a project: the fields of its config, and what it is asked besides."""

    config: ClassVar[type[Any] | None] = None
    advanced: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        defaults = {f.name: f.default for f in fields(self.config)} if self.config else {}
        for name, field in self.fields.items():
            field.required = False
            if field.initial is None:
                field.initial = defaults.get(name)
            if name in BOUNDS and isinstance(field, forms.IntegerField | forms.FloatField):
                low, high = BOUNDS[name]
                field.widget.attrs |= {"min": low, "max": high}
            if isinstance(field, forms.FloatField):
                field.widget.attrs["step"] = "any"

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name not in self.advanced]

    @property
    def advanced_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.advanced if name in self.fields]

    @property
    def advanced_has_errors(self) -> bool:
        return any(name in self.errors for name in self.advanced)

    def given(self) -> dict[str, Any]:
        """What was filled in."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}

    def planned(self) -> dict[str, Any]:
        """The whole config that a run would have, for the estimate of its time. Raises InvalidConfig."""
        if self.config is None:
            return {}
        known = {f.name for f in fields(self.config)}
        return fill_in(self.config, {k: v for k, v in self.given().items() if k in known})

    def start(self, user: User) -> Run:
        """Make the run. Raises CannotStart."""
        raise NotImplementedError


class CheckpointField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A checkpoint of the project, the newest first."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Checkpoint.objects.none(), **kwargs)

    def label_from_instance(self, checkpoint: Any) -> str:
        return f"{checkpoint} · {checkpoint.pk}" if checkpoint.run_id else str(checkpoint)


class RewardField(CheckpointField):
    """Which reward model a run goes by; there is a choice where the project has several."""

    def __init__(self) -> None:
        super().__init__(label=_("Reward model"), empty_label=_("The newest"))

    @staticmethod
    def offer(form: StartForm) -> None:
        """Let it offer the project's, or take it off the form where there is none but the newest."""
        rewards = form.project.checkpoints.rewards()
        form.fields["reward"].queryset = rewards  # type: ignore[attr-defined]
        if rewards.count() < 2:
            del form.fields["reward"]
