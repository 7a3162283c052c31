"""What the host gives to machines: cgroups, namespaces, ids, mounts, memory, and the checks of it."""
