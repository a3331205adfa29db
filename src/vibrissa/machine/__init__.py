"""Floor 2: what this computer is, and what of it will get in the way."""
