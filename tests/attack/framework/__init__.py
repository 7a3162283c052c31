"""Runs attacks against a server while honest neighbours build, and measures what the neighbours notice."""
