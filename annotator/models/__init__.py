"""The domain, in the field's words (people, prompts, comparisons, rankings)."""

from annotator.models.comparisons import Assignment, Comparison, Slot
from annotator.models.events import Event
from annotator.models.people import Membership, Role, User
from annotator.models.projects import Guideline, Project, ResponseFormat
from annotator.models.prompts import Completion, Domain, Prompt, PromptImport, hash_text
from annotator.models.rankings import Ranking, Verdict

__all__ = [
    "Assignment",
    "Comparison",
    "Completion",
    "Domain",
    "Event",
    "Guideline",
    "Membership",
    "Project",
    "Prompt",
    "PromptImport",
    "Ranking",
    "ResponseFormat",
    "Role",
    "Slot",
    "User",
    "Verdict",
    "hash_text",
]
