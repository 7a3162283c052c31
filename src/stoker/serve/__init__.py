"""`stoker serve`: the supervisor, and the processes that it starts and watches."""
