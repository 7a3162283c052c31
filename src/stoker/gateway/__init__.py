"""Envoy's configuration, which calls a build may make, and the answer to each of Envoy's questions."""
