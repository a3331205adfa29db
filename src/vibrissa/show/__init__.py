"""Floor 2: pictures and videos, made from arrays."""
