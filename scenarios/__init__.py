"""What the mesh is for: a city of devices, one story a folder."""
