"""Scores of texts on request: understood by the site, computed by a worker that has the model in memory."""
