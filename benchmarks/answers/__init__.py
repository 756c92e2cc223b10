"""Whether answers are right."""
