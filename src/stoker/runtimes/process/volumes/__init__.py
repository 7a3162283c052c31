"""Layer caches on disk: btrfs subvolumes or directories, their caps, snapshots and ephemeral copies."""
