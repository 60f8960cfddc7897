"""Compares what the database says with what the store holds, both ways, and each with itself."""
