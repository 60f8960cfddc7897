"""Uploads that go straight to the store: say what is missing and where to send it, then take in what arrived.

A link to PUT signs size and sha256, so the store itself refuses other bytes; the registry never sees them. It must
still know that *this* caller had them, or naming a digest would be enough to read another's content. That is shown by

* the mark: a blob that nobody has is PUT to its final key with a mark of caller and repository, which only a link made
  for them carries. What is found there later with another mark came from someone else, and proves nothing;
* a session: a blob that is there already, or too large for one PUT, goes to a staging key of the caller's own.
"""
