"""The pages of the human side, one module an area."""
