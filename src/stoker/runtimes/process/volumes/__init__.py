"""Where layer caches are kept: btrfs subvolumes or folders, their caps, snapshots and ephemeral copies."""
