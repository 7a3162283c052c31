"""The settings: their defaults, where their values come from, and which value counts."""
