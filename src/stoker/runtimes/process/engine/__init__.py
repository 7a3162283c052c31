"""Configures, starts and watches a machine's buildkitd, and finds out why it ended."""
