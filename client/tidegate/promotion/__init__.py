"""Moving releases through channels, from the side of those who ask, approve and watch."""
