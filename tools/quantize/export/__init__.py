"""Writes a checkpoint in the form that an engine loads."""
