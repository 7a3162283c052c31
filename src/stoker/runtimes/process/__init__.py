"""Machines as processes of this host: one buildkitd each, in namespaces, cgroups and a network of its own."""
