"""Settings, root URLs, Celery, WSGI, and the processes."""
