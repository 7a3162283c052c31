"""Tokens, OIDC and passwords; `access.py` is the one table of who may call which method."""
