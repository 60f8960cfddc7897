"""A release that was withdrawn: promoted nowhere, not served by version, and channels leave it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.registry.admission.world import codes_of
from tests.registry.promotion.walk import two_in_dev
from tests.registry.promotion.world import PROMOTIONS, Promotions
from tests.workshop import AGENT, RELEASE_JOB
from tidegate_registry.artifacts.reads import KeptAnswer, ReadCache
from tidegate_registry.promotion.watch import RevocationWatch

if TYPE_CHECKING:
    import httpx2

    from tests.forge import Who


def revoke(promotions: Promotions, version: str, who: Who = "carol", **more: object) -> httpx2.Response:
    document = {"agent": AGENT, "version": version, "reason": "it leaks"} | more
    return promotions.client(who).post("/api/v1/revocations", json=document)


def test_pulls_by_version_are_refused_at_once_and_by_digest_they_carry_a_warning(promotions: Promotions) -> None:
    manifest = promotions.publish("1.0.0")
    client = promotions.client("bob")
    by_version, by_digest = (f"/v2/{AGENT}/manifests/{each}" for each in ("1.0.0", manifest.digest))
    for url in (by_version, by_digest):
        assert client.get(url).status_code == client.head(url).status_code == 200  # and are kept in memory
    assert revoke(promotions, "1.0.0").status_code == 201
    refused = client.get(by_version)
    assert (refused.status_code, codes_of(refused)) == (403, ["release-revoked"])
    assert "it leaks" in refused.json()["errors"][0]["message"]
    assert client.head(by_version).status_code == 403
    for answer in (client.get(by_digest), client.head(by_digest), client.get(by_digest)):
        assert answer.headers["Warning"] == '299 - "this release was revoked: it leaks"'
    assert client.get(by_digest).content == manifest.raw
    api = f"/api/v1/agents/{AGENT}"
    shown = client.get(f"{api}/releases/1.0.0").json()
    assert shown["revoked"] == client.get(f"{api}/releases").json()["items"][0]["revoked"] == "it leaks"
    author = {"kind": "ci", "issuer": f"{promotions.issuer}/ci", "identity": RELEASE_JOB.signer_uri}
    assert shown["decision"]["author"] == author, "and no further claim of the token"


def test_no_request_for_it_goes_on_and_none_is_opened(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    waiting = promotions.ask("carol", "1.0.0", "staging").json()
    revoke(promotions, "1.0.0")
    closed = promotions.show(waiting)
    assert (closed["state"], closed["outcome"]) == ("rejected", "the release was revoked: it leaks")
    assert codes_of(promotions.ask("alice", "1.0.0", "dev"))[0] == "revoked"
    assert codes_of(promotions.ask("dave", "1.0.0", "stable", breakGlass=True))[0] == "revoked"


def test_the_channels_that_serve_it_are_listed_and_moved_where_that_is_asked(promotions: Promotions) -> None:
    two_in_dev(promotions)
    promotions.promote("1.1.0", "staging")
    answer = revoke(promotions, "1.1.0", rollback=True)
    assert answer.status_code == 201, answer.text
    left = {each["channel"]: each for each in answer.json()["channels"]}
    assert left["dev"]["movedTo"] == promotions.serves("dev") == "1.0.0"
    assert left["staging"]["movedTo"] is None
    assert [each["code"] for each in left["staging"]["reasons"]] == ["nothing-to-roll-back-to"]
    assert promotions.channel("staging")["serving"]["revoked"] == "it leaks"
    assert promotions.roll_back("dev", "1.1.0").status_code == 403, "nobody goes back to it"


def test_without_that_they_are_only_listed(promotions: Promotions) -> None:
    two_in_dev(promotions)
    (left,) = revoke(promotions, "1.1.0").json()["channels"]
    assert (left["channel"], left["movedTo"], promotions.serves("dev")) == ("dev", None, "1.1.0")
    assert promotions.roll_back("dev").json()["version"] == "1.0.0"
    assert revoke(promotions, "1.0.0").status_code == 201
    assert promotions.client("bob").get("/api/v1/revocations").json()["items"][0]["version"] == "1.0.0"


def test_it_is_once_and_for_all_and_by_whoever_answers_for_the_agent(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    assert revoke(promotions, "1.0.0", "bob").status_code == 201
    again = revoke(promotions, "1.0.0")
    assert (again.status_code, codes_of(again)) == (409, ["already-revoked"])
    assert promotions.client("carol").get(PROMOTIONS).json()["items"] == []


def test_a_replica_forgets_what_it_keeps_of_an_agent_once_it_has_seen_the_revocation(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    other = replace(promotions.gate.services, reads=ReadCache(most_bytes=1 << 20))
    watch, kept = RevocationWatch(other), KeptAnswer(AGENT, 200, (), b"", None, None, None, {})
    other.reads.keep(("GET", "/", ""), kept)
    watch.look()
    assert len(other.reads) == 1
    assert revoke(promotions, "1.0.0").status_code == 201
    watch.look()
    assert len(other.reads) == 0
    other.reads.keep(("GET", "/", ""), kept)
    watch.look()
    assert len(other.reads) == 1, "each revocation is noticed once"
