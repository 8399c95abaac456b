"""What devices do together. Knows no network but its Group."""
