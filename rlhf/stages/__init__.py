"""The glue of each kind of run: database in, `rlhf.lm` in the middle, database out. Imports torch."""
