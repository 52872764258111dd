"""Template tags of the model side."""
