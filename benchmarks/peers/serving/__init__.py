"""The peers' servers. Each module runs in the environment of its peer."""
