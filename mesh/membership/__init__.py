"""Who is alive: every node comes to hold the same view of the mesh, and keeps it current, with nobody in charge."""
