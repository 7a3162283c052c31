"""The controller that starts and stops machines, so that they match the leases."""
