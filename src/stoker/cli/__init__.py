"""The stoker command."""
