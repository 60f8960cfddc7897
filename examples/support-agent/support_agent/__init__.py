"""A small support agent: a tool-using loop around a scripted model. Standard library only, Python 3.11 or newer."""
