"""Records of admissions: the stored ones are read and written again, and what contradicts itself is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.verify.admission_recipes import FOLDER, RECIPES, path_of, write
from tests.client.verify.plain import NOW
from tidegate.errors import StatementInvalid
from tidegate.formats.jcs import canonical_bytes, parse_object
from tidegate.verify.admission import decide_admission
from tidegate.verify.admission_record import parse_admission_record
from tidegate.verify.artifact import Allowed, Refused

Json = dict[str, Any]


@pytest.mark.parametrize("name", RECIPES)
def test_a_stored_admission_is_what_would_be_written_and_says_what_was_decided(name: str) -> None:
    raw = path_of(name).read_bytes()
    assert raw == write(name)
    record, inputs = parse_admission_record(raw), RECIPES[name]()
    said = decide_admission(inputs)
    assert record.allowed == isinstance(said, Allowed)
    assert record.reasons == (said.reasons if isinstance(said, Refused) else ())
    assert (record.decided_at, record.charter, record.previous) == (NOW, inputs.charter, inputs.previous)
    assert (record.step, record.bundle_reasons, record.roots) == (inputs.step, inputs.bundle_reasons, inputs.roots)
    assert len(record.evidence) == len(inputs.attestations) + len(inputs.refusals)
    if record.policy is not None and inputs.policy is not None:
        assert record.policy.load().digest == inputs.policy.digest


def test_every_vector_has_a_recipe() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(RECIPES)


BROKEN: dict[str, tuple[str, Callable[[Json], object]]] = {
    "a member more": ("decision-malformed", lambda record: record.update(more=1)),
    "no digest": ("decision-malformed", lambda record: record.update(manifest="sha256:0")),
    "another format": ("decision-malformed", lambda record: record.update(format="tidegate/admission/v2")),
    "a no without reasons": ("decision-mismatch", lambda record: record.update(verdict="refused")),
    "a yes to nothing": ("decision-mismatch", lambda record: record.update(outcome=None)),
    "another charter": ("decision-mismatch", lambda record: record["charter"].update(digest=record["manifest"])),
    "evidence that is neither": ("decision-mismatch", lambda record: record["evidence"][0].update(verified=None)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_record_that_is_none_is_refused(name: str) -> None:
    code, change = BROKEN[name]
    document: Json = parse_object(path_of("allowed").read_bytes(), limit=1 << 20, what="a vector")
    change(document)
    with pytest.raises(StatementInvalid) as refused:
        parse_admission_record(canonical_bytes(document))
    assert refused.value.reasons[0].code == code
