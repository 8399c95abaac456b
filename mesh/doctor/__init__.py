"""Looks a device over: what stands in the way of a node here, why, and the command that mends it."""
