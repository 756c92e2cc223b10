"""The command doctor: what would fail, said before anything is created."""
