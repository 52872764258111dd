"""The steps of a preparation, a module for each kind: one changes a record or leaves it out, and counts."""
