"""A network for each machine, and the nftables rules of what machines and steps may reach."""
