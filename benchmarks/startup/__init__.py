"""What loading and starting cost."""
