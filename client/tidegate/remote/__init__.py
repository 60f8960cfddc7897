"""What the client knows of the network: one HTTP client for a registry, and the sources that verification reads."""
