"""The WSGI application that gunicorn serves."""

import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "annotator.site.settings")

# A thread gives the interpreter away at each database call, and gets it back after so many seconds if
# others compute. With Python's 5 ms a claim holds SQLite's one write lock far longer than it works.
sys.setswitchinterval(0.0005)

application = get_wsgi_application()
