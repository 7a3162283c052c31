"""The methods of our own API, stoker.v1, a module for each service."""
