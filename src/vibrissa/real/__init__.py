"""Floor 2: the real arm, its leader and its cameras, through LeRobot's own drivers."""
