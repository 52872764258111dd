"""How good the judgments are, and how far they have come."""
