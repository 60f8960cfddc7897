"""The embedded stack for a laptop or a test: a private Sigstore, an object store, demo users. Never for production.

Nothing outside the command line and the tests may import this package (an import-linter contract): its keys lie in
plain files and it signs whatever its own demo issuer says.
"""
