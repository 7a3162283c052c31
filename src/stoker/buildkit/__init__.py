"""A client of the machines' BuildKit: control, status, history and prune, over gRPC with mutual TLS."""
