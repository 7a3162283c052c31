"""The Connect application: interceptors, limits and codecs, and the one place where errors become Connect codes."""
