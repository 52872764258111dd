"""A database backend: Django's for SQLite, with a queue at its one write lock."""
