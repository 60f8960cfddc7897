"""Evidence: attestations verified when their referrer arrives, listed by subject digest."""
