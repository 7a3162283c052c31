"""A container build service that you host yourself and that speaks Depot's Build API."""
