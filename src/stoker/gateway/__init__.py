"""Envoy's configuration, and the answers to its questions."""
