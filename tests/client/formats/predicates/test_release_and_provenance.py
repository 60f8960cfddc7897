"""Release statements and provenance: what is read, and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from tidegate.digest import Digest
from tidegate.errors import StatementInvalid
from tidegate.formats.predicates.provenance import BUILD_TYPE_TIDEGATE, BUILD_TYPES, Material, Provenance
from tidegate.formats.predicates.release import ReleasePredicate
from tidegate.formats.predicates.types import PREDICATE_TYPES, predicate_type, short_name

DIGEST = Digest.of(b"manifest")
RELEASE = {"agent": "acme/agent", "version": "1.2.0", "digest": str(DIGEST)}
PROVENANCE = Provenance(
    build_type=BUILD_TYPE_TIDEGATE,
    repository="https://git.example/acme/agent",
    ref="refs/tags/v1",
    path=".ci/release.yml",
    commit="5a" * 20,
    builder_id="https://git.example/acme/agent/.ci/release.yml@refs/tags/v1",
    invocation_id="https://git.example/acme/agent/runs/1",
    materials=(Material("pkg:pypi/x@1", {"sha256": "0" * 64}),),
)


@pytest.mark.parametrize(("short", "uri"), PREDICATE_TYPES.items())
def test_short_names_go_both_ways(short: str, uri: str) -> None:
    assert predicate_type(short) == uri
    assert predicate_type(uri) == uri
    assert short_name(uri) == short


@pytest.mark.parametrize("name", ["relase", "", "https:/x", "https://a b", "x://\n"])
def test_a_type_that_is_neither_known_nor_a_uri_is_refused(name: str) -> None:
    with pytest.raises(StatementInvalid) as refused:
        predicate_type(name)
    assert refused.value.reasons[0].code == "statement-malformed"


@pytest.mark.parametrize("more", [{}, {"behaviour": str(DIGEST)}, {"channels": ["dev", "staging"]}])
def test_a_release_predicate_goes_both_ways(more: dict[str, Any]) -> None:
    assert ReleasePredicate.parse(RELEASE | more).as_json() == RELEASE | more


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "agent"},
        {"version": "v1.2.0"},
        {"version": "1.2"},
        {"digest": DIGEST.hex},
        {"behaviour": "x"},
        {"channels": "dev"},
        {"channels": ["dev", "dev"]},
        {"channels": ["de v"]},
        {"channels": ["1.2.0"]},
        {"channels": ["v7"]},
        {"channels": [5]},
        {"channels": [f"c{n}" for n in range(33)]},
        {"expires": "never"},
    ],
)
def test_a_release_predicate_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StatementInvalid) as refused:
        ReleasePredicate.parse(RELEASE | change)
    assert refused.value.reasons[0].code == "release-malformed"


@pytest.mark.parametrize("missing", RELEASE)
def test_a_release_predicate_lacks_nothing(missing: str) -> None:
    with pytest.raises(StatementInvalid) as refused:
        ReleasePredicate.parse({key: value for key, value in RELEASE.items() if key != missing})
    assert refused.value.reasons[0].code == "release-malformed"


def test_provenance_goes_both_ways() -> None:
    source = Material("git+https://git.example/acme/agent@refs/tags/v1", {"gitCommit": "5a" * 20})
    parsed = Provenance.parse(PROVENANCE.as_json())
    assert parsed.materials == (source, *PROVENANCE.materials)
    assert parsed.as_json() == PROVENANCE.as_json()


@pytest.mark.parametrize("build_type", sorted(BUILD_TYPES))
def test_the_provenance_of_common_builders_is_read(build_type: str) -> None:
    document: dict[str, Any] = copy.deepcopy(PROVENANCE.as_json())
    definition = document["buildDefinition"]
    definition["buildType"] = build_type
    definition["internalParameters"] = {"github": {"event_name": "push"}}
    definition["resolvedDependencies"][0]["digest"] = {"sha1": "5a" * 20}
    document["runDetails"]["metadata"]["startedOn"] = "2026-01-01T00:00:00Z"
    assert Provenance.parse(document).commit == "5a" * 20


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d.pop("buildDefinition"), "provenance-malformed"),
        (lambda d: d.pop("runDetails"), "provenance-malformed"),
        (lambda d: d["runDetails"].pop("builder"), "provenance-malformed"),
        (lambda d: d["runDetails"]["builder"].pop("id"), "provenance-malformed"),
        (lambda d: d["buildDefinition"].update(buildType="https://other.example"), "build-type-unknown"),
        (lambda d: d["buildDefinition"].pop("buildType"), "provenance-malformed"),
        (lambda d: d["buildDefinition"].update(externalParameters={}), "provenance-malformed"),
        (lambda d: d["buildDefinition"]["externalParameters"]["workflow"].pop("ref"), "provenance-malformed"),
        (lambda d: d["buildDefinition"].update(resolvedDependencies=[]), "provenance-malformed"),
        (lambda d: d["buildDefinition"].update(resolvedDependencies={}), "provenance-malformed"),
        (lambda d: d["buildDefinition"]["resolvedDependencies"][0].update(uri="git+https://x"), "provenance-malformed"),
    ],
    ids=count(),
)
def test_provenance_of_another_form_is_refused(change: Callable[[dict[str, Any]], object], code: str) -> None:
    document: dict[str, Any] = copy.deepcopy(PROVENANCE.as_json())
    change(document)
    with pytest.raises(StatementInvalid) as refused:
        Provenance.parse(document)
    assert refused.value.reasons[0].code == code


def test_provenance_that_names_two_commits_of_the_repository_is_refused() -> None:
    document: dict[str, Any] = copy.deepcopy(PROVENANCE.as_json())
    other = {"uri": "git+https://git.example/acme/agent", "digest": {"gitCommit": "ab" * 20}}
    document["buildDefinition"]["resolvedDependencies"].append(other)
    with pytest.raises(StatementInvalid) as refused:
        Provenance.parse(document)
    assert refused.value.reasons[0].code == "provenance-malformed"
