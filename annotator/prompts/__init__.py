"""Tasks in: reading, cleaning and importing files."""
