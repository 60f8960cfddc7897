"""Whom the registry trusts, as entries: each change of the trust file, with the documents that auditors need."""
