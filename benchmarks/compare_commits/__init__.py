"""Compare what the server of two commits costs."""
