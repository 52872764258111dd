"""The pages of the model side, one module an area."""
