"""What annotators are called on pages: user names for managers, the pseudonyms of exports for researchers."""

from __future__ import annotations

from annotator.access import MANAGERS, Person, has_role
from annotator.models import Project, User
from annotator.pseudonyms import pseudonym


class Names:
    """What annotators of a project are called for one reader.

    A researcher who saw user names beside figures, times or texts could tell whose judgments an export's
    are; so only those who run the project read them.
    """

    def __init__(self, project: Project, reader: Person) -> None:
        self.project = project
        self.are_known = has_role(reader, project, *MANAGERS)

    def of(self, user: User) -> str:
        return user.username if self.are_known else pseudonym(self.project, user.pk)

    def by_pseudonym(self) -> dict[str, str]:
        """The members' user names by their pseudonyms; empty for a reader who may not know them."""
        if not self.are_known:
            return {}
        members = self.project.memberships.values_list("user_id", "user__username")
        return {pseudonym(self.project, user_id): name for user_id, name in members}
