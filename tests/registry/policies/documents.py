"""Policies for tests of the room: who may change them differs from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

IDP = "https://login.acme.example"


def policy(**changes: Any) -> dict[str, Any]:
    """A policy that admins change with one further person; members of the document can be replaced."""
    document: dict[str, Any] = {
        "format": "tidegate/policy/v1",
        "persons": {name: [person(name), person(f"{name}-2")] for name in ("anna", "ben", "cleo")},
        "roles": {
            "admin": [{"issuer": IDP, "claims": {"groups": "admins"}}],
            "developer": [{"issuer": IDP, "claims": {"groups": "developers"}}],
            "reviewer": [{"issuer": IDP, "claims": {"groups": "reviewers"}}],
        },
        "channels": ["dev", "staging", "stable"],
        "transitions": [
            {"to": "dev", "allow": ["developer"]},
            {"from": "dev", "to": "staging", "allow": ["developer"]},
            {
                "from": "staging",
                "to": "stable",
                "allow": ["developer"],
                "require": [{"id": "reviewed", "approvals": {"count": 1, "role": "reviewer"}}],
            },
        ],
        "editors": {"allow": ["admin"], "approvals": 1},
    }
    return document | changes


def overlay(namespace: str = "acme", **changes: Any) -> dict[str, Any]:
    """What a namespace adds."""
    return {"format": "tidegate/policy-overlay/v1", "namespace": namespace} | changes


def person(name: str) -> dict[str, str]:
    return {"issuer": IDP, "identity": f"{name}@acme.example"}


def text(document: Mapping[str, Any]) -> bytes:
    """Write a document as people do."""
    return yaml.safe_dump(dict(document), sort_keys=False).encode()
