"""The admin: every model, history read-only. For the site's staff; managers work on the pages."""

from annotator.admin import audit, judgments, labels, people, projects, tasks

__all__ = ["audit", "judgments", "labels", "people", "projects", "tasks"]
