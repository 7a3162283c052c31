"""How a machine's buildkitd is configured, started, watched, and what its end says."""
