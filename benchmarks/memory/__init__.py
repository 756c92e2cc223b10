"""Whether memory stays the same while the server works."""
