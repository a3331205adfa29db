"""Floor 0: what things mean. Pure: no clock, no files, no global randomness."""
