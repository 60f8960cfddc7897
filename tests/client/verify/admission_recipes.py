"""What the vectors in tests/vectors/admissions are made of: one admission each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.client.policy.documents import loaded
from tests.client.verify.plain import AGENT, DIGEST, NOW, VERSION, charter, provenance, release
from tests.vectorcase import VECTORS
from tidegate.bundle.diff.step import Step, version_step
from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.policy.evidence import RefusedEvidence
from tidegate.policy.inputs import Caller
from tidegate.verify.admission import AdmissionInputs, decide_admission
from tidegate.verify.admission_record import make_admission_record
from tidegate.verify.artifact import Allowed

FOLDER: Final = VECTORS / "admissions"
ACTOR: Final = {"kind": "ci", "issuer": "https://ci.example", "name": "release.yml@refs/tags/v1.2.0"}
CALLER: Final = Caller("ci", ACTOR["issuer"], ACTOR["name"], {"actor": ("alice",)})
ROOTS: Final = (("main", Digest.of(b"a trusted root")),)
BAD: Final = RefusedEvidence(
    Digest.of(b"another bundle"), (Reason("subject-mismatch", "the statement is about another manifest", step="A15"),)
)


def _inputs(**changes: object) -> AdmissionInputs:
    fields: dict[str, object] = {
        "agent": AGENT,
        "version": VERSION,
        "digest": DIGEST,
        "config": None,
        "config_digest": None,
        "charter": charter(),
        "attestations": (release(), provenance()),
        "refusals": (),
        "previous": None,
        "roots": ROOTS,
    }
    return AdmissionInputs(**(fields | changes))  # type: ignore[arg-type]


def _followed() -> AdmissionInputs:
    first = decide_admission(_inputs())
    assert isinstance(first, Allowed)
    return _inputs(
        previous=first.facts,
        charter=charter(smallStep="refuse"),
        step=version_step("1.1.0", VERSION, [(Step.MAJOR, "an interface is gone")]),
    )


def _bundle_refused() -> AdmissionInputs:
    return _inputs(bundle_reasons=(Reason("config-not-json", "the config blob is no JSON", found="line 1", step="B2"),))


RECIPES: Final[Mapping[str, Callable[[], AdmissionInputs]]] = {
    "allowed": _inputs,
    "bundle-refused": _bundle_refused,
    "no-charter": lambda: _inputs(charter=None, attestations=()),
    "policy-of-other-publishers": lambda: _inputs(policy=loaded()),
    "provenance-refused": lambda: _inputs(attestations=(release(),), refusals=(BAD,)),
    "step-too-small": _followed,
}
"""By name: makes what the admission rests on."""


def path_of(name: str) -> Path:
    """Give the file of a vector."""
    return FOLDER / f"{name}.json"


def write(name: str) -> bytes:
    """Make the record of a vector."""
    inputs = RECIPES[name]()
    return make_admission_record(inputs, decide_admission(inputs), now=NOW, actor=ACTOR, caller=CALLER)
