"""Floor 2: policies, trained and loaded."""
