"""OCI Distribution 1.1 under /v2/, with three rules that make it a gate: quarantine, naming, no channel moves here."""
