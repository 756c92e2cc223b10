"""Scripts that convert a checkpoint. Each runs in the environment of the peer that needs the format."""
