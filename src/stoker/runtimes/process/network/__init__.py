"""How machines and their steps reach what they may reach, and nothing else."""
