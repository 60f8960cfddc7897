"""Bytes: the object store behind one small interface, and where uploads wait until their digest is known."""
