"""Language-model code alone: no Django, no Celery, nothing of `annotator`. Usable as a library."""
