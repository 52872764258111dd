"""The model side of the REST API: runs, models, scores."""
