"""Compare what the servers of two commits cost."""
