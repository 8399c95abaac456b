"""Three systems for private inference, each measured in an environment of its own. The rooms here are for `private`."""
