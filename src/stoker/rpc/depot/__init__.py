"""Handlers of Depot's API (`depot.*`), a module for each service: decode, one service call, encode."""
