"""Floor 3: judge a policy."""
