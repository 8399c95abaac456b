"""What carries bytes between devices: TLS over the real network, or a network in memory."""
