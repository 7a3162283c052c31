"""Nouns, state tables and pure decisions. Standard library only."""
