"""The example in docs/spec/vsa.md is a summary that verifies, and is what the code writes."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from tests.summaries import AGENT, MANIFEST, PREDICATE, REGISTRY, THEN, WANTED, payload_of
from tidegate.formats.jcs import canonical_bytes, parse_object
from tidegate.formats.mediatypes import PREDICATE_VSA
from tidegate.formats.statement import make_statement
from tidegate.formats.trustfile import PublicKeyFile, VsaKeyEntry
from tidegate.verify.vsa import SUMMARY_STEPS, verify_summary
from tidegate.verify.vsakey import VsaKey

PAGE = (Path(__file__).parents[3] / "docs" / "spec" / "vsa.md").read_text(encoding="utf-8")


def test_the_example_verifies_and_is_what_the_code_writes() -> None:
    shown, bundle = re.findall(r"^```json\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    (pem,) = re.findall(r"^-----BEGIN.*?-----END PUBLIC KEY-----\n", PAGE, flags=re.DOTALL | re.MULTILINE)
    raw = bundle.strip().encode()
    entry = VsaKeyEntry(name="acme", verifier=REGISTRY, key=PublicKeyFile(file="acme-vsa.pem"))
    key = VsaKey.read(entry, pem.encode())
    found = verify_summary(raw, WANTED, keys=[key], now=THEN + timedelta(days=1))
    assert found.predicate == PREDICATE
    written = parse_object(shown.encode(), limit=1 << 20, what="the example")
    assert payload_of(raw) == written
    assert canonical_bytes(written) == make_statement(AGENT, MANIFEST, PREDICATE_VSA, PREDICATE.as_json())


def test_every_step_is_in_the_page_with_its_place() -> None:
    numbers = re.findall(r"^\| (S\d+) \|", PAGE, flags=re.MULTILINE)
    assert numbers == [step.number for step in SUMMARY_STEPS]
