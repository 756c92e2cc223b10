"""Measurements of the server and of its parts. docs/benchmarks.md has the figures."""
