"""Models and parts of them, on disk: blobs by SHA-256, and the names they are known by."""
