"""How people and programs get in: one door a file. A door turns somebody else's language into jobs and requests."""
