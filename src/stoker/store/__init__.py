"""Queries and claims on the database, a module for each subject."""
