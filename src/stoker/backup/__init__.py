"""Backups: a server's database and keys as one file, made while it runs, and restored into an empty folder."""
