"""Floor 1: the control loop, and what sits in it."""
