"""The values of a configuration: which are possible, which fit together, and what a message about a wrong one says."""
