"""Nouns, state tables and pure decisions. Standard library only: no I/O, no clock."""
