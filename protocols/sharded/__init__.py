"""Sharded inference: a model cut across devices, each answer passed down the line."""
