"""Language-model code alone: no Django, no Celery, nothing of `annotator`. Usable as a library."""

import os

# All are read when torch and transformers are first imported, so they are set before that.
# Waiting threads spin for a fraction of a millisecond, then sleep. Beside other busy processes long spinning
# makes sampling ten times slower, and on free cores no spinning makes it half as slow again (docs/LOG.md).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models come from this machine
# oneDNN keeps what it compiled for each shape; texts have many lengths, and 1,024 of them are gigabytes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
