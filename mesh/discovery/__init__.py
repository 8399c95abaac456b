"""Hearing who is about: by multicast, from the configuration, or from a wall in memory."""
