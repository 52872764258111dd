"""The model side: runs, checkpoints, snapshots and evaluations, and `rlhf.lm`, which trains."""
