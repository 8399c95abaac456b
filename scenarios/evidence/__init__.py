"""Looking for what must not be there: every byte between devices, decrypted, and whatever they wrote or kept."""
