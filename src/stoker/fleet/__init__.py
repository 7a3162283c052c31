"""The controller that makes machines match leases."""
