"""Local computing: what one device does by itself. Imports neither `Group` nor any protocol."""
