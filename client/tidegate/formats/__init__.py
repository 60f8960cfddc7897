"""The formats of bundles, evidence, charters and references: typed in, exact bytes out, no I/O and no trust."""
