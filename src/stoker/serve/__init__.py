"""`stoker serve`: the processes of a server as one command."""
