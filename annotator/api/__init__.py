"""The REST API: the same doors and the same access rules as the pages, as JSON."""
