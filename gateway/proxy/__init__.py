"""The forward path: bytes up and down between a client and the service of its route."""
