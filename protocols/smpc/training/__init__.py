"""Private training: models learn from shares of data that no device has all of."""
