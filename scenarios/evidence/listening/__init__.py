"""A folder for the path of processes that are to write down the keys of their connections."""
