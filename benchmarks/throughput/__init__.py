"""How many windows a second the server computes."""
