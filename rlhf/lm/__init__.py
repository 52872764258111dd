"""Language-model code alone: no Django, no Celery, nothing of `annotator`. Usable as a library."""

import os

# Threads that wait for each other must sleep, not spin: where the cores are shared with a web server or
# a second process, spinning made the same work take ten times as long. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
