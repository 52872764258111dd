"""The site, and the human side: tasks in, comparisons ranked, data out. Never imports torch or rlhf."""
