"""Tidegate: the registry."""
