"""Benchmarks: what building through a server costs, next to its parts used by hand."""
