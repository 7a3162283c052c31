"""Follows each solve on its machine, so that its steps and logs are stored."""
