"""The time and memory that loading and starting take."""
