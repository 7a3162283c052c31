"""One use case a method; transactions belong here."""
