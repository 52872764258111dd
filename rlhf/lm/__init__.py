"""Language-model code alone: no Django, no Celery, nothing of `annotator`. Usable as a library."""

import os

# All are read when torch and transformers are first imported, so they are set before that.
# Waiting threads must sleep, not spin: beside other busy processes spinning makes sampling ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models come from this machine
# oneDNN keeps what it compiled for each shape; texts have many lengths, and 1,024 of them are gigabytes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
