"""Giving judgments: the queue of comparisons, the submitting of rankings, the pairs that follow."""
