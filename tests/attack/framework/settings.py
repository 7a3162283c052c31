"""The settings of a server that is attacked: the defaults, but for what makes the host small and the world local."""

SERVER = {
    # Webhooks of the neighbour go to this host, and those of attackers to where nobody listens.
    "webhook_private_addresses": "true",
    # A disk that can be filled in some seconds.
    "volume_image_bytes": str(6 * 1000**3),
    "min_keep_bytes": "1",
}
