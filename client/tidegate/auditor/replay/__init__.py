"""Every decision of a log, decided again from what the log holds. Spec page: docs/spec/replay.md."""
