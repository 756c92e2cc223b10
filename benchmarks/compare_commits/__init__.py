"""Compare the CPU time or the latency of the servers of two commits."""
