"""Reading many records of one's own at once: only what a decision needs to be made again. Pure.

`record.parse_record` reads a record that somebody else may have written, and checks all of it against itself. Here the
bytes are those that this registry stored; what they say is not proven by reading them more slowly.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Literal

from pydantic_core import from_json

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, StatementInvalid
from tidegate.formats.charter import Charter
from tidegate.formats.predicates.members import Members
from tidegate.policy.inputs_json import CODE, MESSAGE, parse_inputs
from tidegate.policy.whatif import Case

Charters = MutableMapping[str, Charter]
"""Charters by their digests: one covers many decisions, and is read once."""


def read_case(raw: bytes, charters: Charters, *, id_: str, kind: Literal["decision", "serving"] = "decision") -> Case:
    """Give the case that a stored record is about, at its own time. Raises StatementInvalid, "decision-malformed"."""
    try:
        document = from_json(raw)  # our own canonical JSON, from our own row; three times as fast as `json`
    except ValueError as error:
        raise StatementInvalid(MESSAGE, code="decision-malformed", found=type(error).__name__) from error
    members = Members(document if isinstance(document, dict) else {}, CODE, MESSAGE)
    digests, inputs = members.object("digests"), members.object("inputs").values
    named = digests.values.get("charter")
    charter = charters.get(named) if isinstance(named, str) else None
    if charter is not None:
        inputs = {**inputs, "charter": None}
    found = parse_inputs(inputs)
    if charter is None and found.charter is not None and isinstance(named, str):
        charters[named] = found.charter
    try:
        rule = digests.values.get("rule")
        return Case(
            kind=kind,
            id=id_,
            inputs=found if charter is None else replace(found, charter=charter),
            rule=Digest.parse(rule) if isinstance(rule, str) else None,
            at=members.moment("decidedAt"),
        )
    except DigestInvalid as error:
        raise StatementInvalid(MESSAGE, code="decision-malformed", found=error.message) from error
