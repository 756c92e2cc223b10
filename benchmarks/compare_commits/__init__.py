"""Compare the CPU time of the servers of two commits."""
