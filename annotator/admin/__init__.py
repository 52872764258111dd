"""The admin: every model, history read-only. For the site's staff; managers work on the pages."""

from annotator.admin import audit, data, judgments, labels, people, programs, projects, tasks

__all__ = ["audit", "data", "judgments", "labels", "people", "programs", "projects", "tasks"]
