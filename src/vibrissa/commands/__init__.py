"""Floor 4: one file a word. A command wires rooms together; it does not compute."""
