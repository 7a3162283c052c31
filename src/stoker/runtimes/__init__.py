"""Where machines run."""
