"""Machines as processes of this host, one buildkitd each, in their own namespaces, cgroups and network."""
