"""The two certificate authorities, the certificates that they issue, and the key of webhooks."""
