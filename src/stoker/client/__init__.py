"""A client of the server's API, for `stoker build`, `stoker buildx` and the commands for operators."""
