"""A publisher, or whoever has a publisher's token, pushes to a channel to make hosts run something."""

from __future__ import annotations

from tests.registry.admission.world import GateWorld, codes_of
from tests.workshop import AGENT, VERSION

CHANNELS = ("dev", "staging", "canary", "stable")


def test_pushing_to_a_channel_is_refused_even_for_a_release_and_is_in_the_audit_log(gate_world: GateWorld) -> None:
    release = gate_world.publish()
    client = gate_world.client()
    for channel in CHANNELS:
        answer = gate_world.put(client, release, channel)
        assert (answer.status_code, codes_of(answer)) == (403, ["channel-not-movable"])
        refused = gate_world.data_of("request.refused")[-1]
        assert (refused["code"], refused["reference"]) == ("channel-not-movable", channel)
        assert client.get(f"/v2/{AGENT}/manifests/{channel}").status_code == 404
    assert client.get(f"/v2/{AGENT}/tags/list").json()["tags"] == [VERSION]


def test_a_tag_in_the_query_is_no_way_around(gate_world: GateWorld) -> None:
    """The next version of the Distribution Spec lets a PUT by digest name tags beside it."""
    release = gate_world.publish()
    client = gate_world.client()
    for channel in CHANNELS:
        where, headers = f"/v2/{AGENT}/manifests/{release.digest}", {"Content-Type": release.media_type}
        client.put(where, params={"tag": channel}, content=release.raw, headers=headers)
        assert client.get(f"/v2/{AGENT}/manifests/{channel}").status_code == 404
    assert client.get(f"/v2/{AGENT}/tags/list").json()["tags"] == [VERSION]


def test_a_tag_that_people_take_for_a_version_is_refused(gate_world: GateWorld) -> None:
    release, client = gate_world.publish(), gate_world.client()
    for tag in (f"v{VERSION}", "1.2", "v1"):
        answer = gate_world.put(client, release, tag)
        assert (answer.status_code, codes_of(answer)) == (403, ["version-misspelt"])


def test_a_tag_is_not_freed_by_deleting_it(gate_world: GateWorld) -> None:
    release, client = gate_world.publish(), gate_world.client()
    for reference in ("stable", VERSION, release.digest):
        answer = client.delete(f"/v2/{AGENT}/manifests/{reference}")
        assert (answer.status_code, codes_of(answer)) == (405, ["deletes-refused"])
    assert client.get(f"/v2/{AGENT}/manifests/{VERSION}").content == release.raw
