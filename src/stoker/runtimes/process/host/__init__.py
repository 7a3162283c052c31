"""What the host gives to machines: cgroups, namespaces, user ids, mounts, memory; and the checks of the host."""
