"""Vibrissa: from demonstrations to a policy one can trust."""

__version__ = "0.1.0"
