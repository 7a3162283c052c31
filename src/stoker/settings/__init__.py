"""All settings, where they come from, and which one counts."""
