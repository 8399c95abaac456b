"""A street junction: a simulated camera with ground truth, and the detector that watches it."""
