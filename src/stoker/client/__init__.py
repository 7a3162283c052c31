"""A client of the Build API, for the `stoker` command."""
