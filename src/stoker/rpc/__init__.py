"""Handlers: decode, one service call, encode."""
