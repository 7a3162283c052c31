"""The `stoker` command, a module for each subcommand."""
