"""The WSGI application that gunicorn serves."""

import gc
import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "annotator.site.settings")

# A thread gives the interpreter away at each database call, and gets it back after so many seconds if
# others compute. With Python's 5 ms a claim holds SQLite's one write lock far longer than it works.
sys.setswitchinterval(0.0005)

application = get_wsgi_application()

# What is loaded by now stays: a collection need not look at it again, and seldom finds a cycle in a request.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 50)
