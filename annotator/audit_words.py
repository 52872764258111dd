"""What the audit log's actions are called on pages. Others are shown as they are written."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

ACTIONS = {
    "signed in": _("signed in"),
    "signed out": _("signed out"),
    "failed to sign in": _("failed to sign in"),
    "was locked out": _("was locked out"),
    "unlocked": _("unlocked"),
    "made the account": _("made the account"),
    "changed the password of": _("changed the password of"),
    "deleted the account": _("deleted the account"),
    "deactivated the account": _("deactivated the account"),
    "activated the account": _("activated the account"),
    "added": _("added"),
    "changed": _("changed"),
    "deleted": _("deleted"),
    "removed": _("removed"),
    "paused": _("paused"),
    "resumed": _("resumed"),
    "paused the project": _("paused the project"),
    "resumed the project": _("resumed the project"),
    "created the project": _("created the project"),
    "changed the settings": _("changed the settings"),
    "made an invitation": _("made an invitation"),
    "joined by invitation": _("joined by an invitation"),
    "revoked an invitation": _("revoked an invitation"),
    "imported": _("imported"),
    "requeued the import": _("requeued the import"),
    "cancelled the import": _("cancelled the import"),
    "changed the image of": _("changed the image of"),
    "removed the image of": _("removed the image of"),
    "closed": _("closed"),
    "reopened": _("reopened"),
    "released": _("released"),
    "released the leases of": _("released the leases of"),
    "made a gold question of": _("made a gold question of"),
    "asks no more": _("asks no more"),
    "asks again": _("asks again"),
    "marked as done": _("marked as done"),
    "marked as open": _("marked as open"),
    "started": _("started"),
    "cancelled": _("cancelled"),
    "simulated": _("simulated"),
    "promoted": _("promoted"),
    "asked people about": _("asked people about"),
    "exported": _("exported"),
    "cancelled the export": _("cancelled the export"),
    "deleted the export": _("deleted the export"),
    "undid the import of": _("undid the import of"),
    "withdrew their judgments": _("withdrew their judgments"),
    "gave their judgments back": _("gave their judgments back"),
    "downloaded": _("downloaded"),
    "pruned the audit log": _("pruned the audit log"),
}


def in_words(action: str) -> str:
    """An action in the reader's language."""
    return str(ACTIONS.get(action, action))
