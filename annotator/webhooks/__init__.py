"""Telling other sites what has happened in a project: signed, retried, never to where it may not lead."""
