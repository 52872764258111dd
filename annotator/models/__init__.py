"""The domain, in the field's words (people, prompts, comparisons, rankings)."""

from annotator.models.comparisons import Assignment, Comparison, Slot
from annotator.models.consent import Withdrawal
from annotator.models.events import Event
from annotator.models.exports import Export
from annotator.models.people import Invitation, Membership, PauseKind, Role, User
from annotator.models.projects import GoldFeedback, Guideline, Project, ResponseFormat, SelectionStrategy
from annotator.models.prompts import Completion, Domain, Prompt, PromptImport, hash_text
from annotator.models.quality import GoldAnswer, Note, QualityReport
from annotator.models.rankings import Ranking, Verdict

__all__ = [
    "Assignment",
    "Comparison",
    "Completion",
    "Domain",
    "Event",
    "Export",
    "GoldAnswer",
    "GoldFeedback",
    "Guideline",
    "Invitation",
    "Membership",
    "Note",
    "PauseKind",
    "Project",
    "Prompt",
    "PromptImport",
    "QualityReport",
    "Ranking",
    "ResponseFormat",
    "Role",
    "SelectionStrategy",
    "Slot",
    "User",
    "Verdict",
    "Withdrawal",
    "hash_text",
]
