"""What a client waits for: one request, a queue at a given load, and disturbances beside it."""
