"""Floor 3: the emulated SO-101, from its serial bus to its cameras, and what goes wrong there."""
