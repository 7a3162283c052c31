"""A client of the control API of the machines: BuildKit's own, over gRPC with mutual TLS."""
