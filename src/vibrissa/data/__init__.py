"""Floor 2: datasets in LeRobot's format, written and read."""
