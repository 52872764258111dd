"""Data out: derived preferences and raw judgments, each with a manifest."""
