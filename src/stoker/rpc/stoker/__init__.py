"""Handlers of our own API (`stoker.v1`), a module for each service: decode, one service call, encode."""
