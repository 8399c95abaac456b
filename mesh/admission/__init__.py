"""How a device gets into a mesh, stays in it, and leaves: tokens, the authority's register, and the join door."""
