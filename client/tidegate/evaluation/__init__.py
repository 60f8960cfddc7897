"""Evaluations from what test tools write: `readers` know the tools' files, `results` makes a predicate of them."""
