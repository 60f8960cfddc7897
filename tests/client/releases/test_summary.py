"""What is asked of a summary's release, before anything is fetched."""

from __future__ import annotations

import pytest

from tests.summaries import AGENT, REGISTRY, Signer
from tidegate.errors import InvalidInput
from tidegate.releases.summary import verify_summaries
from tidegate.verify.trust import Trust


def test_another_version_than_the_one_that_was_meant_is_refused_before_a_registry_is_asked() -> None:
    trust = Trust.from_parts((), (), vsa=[Signer().key(REGISTRY)])
    with pytest.raises(InvalidInput, match="different versions"):
        verify_summaries(f"registry.example/{AGENT}:1.2.0", trust=trust, expected=f"{AGENT}:1.2.1")
