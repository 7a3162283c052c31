"""The tables, by what they are about. Their history is in `migrations`; a test holds the two together."""
