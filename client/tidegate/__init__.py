"""Tidegate: the client."""
