"""What rows come in. Each module yields them one by one, in bounded memory."""
