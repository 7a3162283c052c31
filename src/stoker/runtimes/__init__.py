"""The contract between the fleet and what runs machines."""
