"""Two releases compared over HTTP, and what a version step that is too small comes to."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.registry.admission.agents import MORE_EGRESS, OTHER_CONTRACT, OTHER_PROMPT, push_version
from tests.registry.admission.world import GateWorld, codes_of
from tests.workshop import AGENT
from tidegate.bundle.diff.compare import diff
from tidegate.bundle.diff.model import Side
from tidegate.cli.main import main
from tidegate_registry.admission.diffs import BOUNDS
from tidegate_registry.admission.diffs_out import EXAMPLE, DiffOut

PATH = f"/api/v1/agents/{AGENT}/diff"


@pytest.fixture
def reader(gate_world: GateWorld) -> httpx2.Client:
    return gate_world.client("carol", "registry:api:*")


def test_two_releases_are_compared_as_the_command_line_does(
    gate_world: GateWorld, reader: httpx2.Client, tmp_path: Path
) -> None:
    before, one = push_version(gate_world, tmp_path, "1.0.0")
    after, two = push_version(gate_world, tmp_path, "1.1.0", MORE_EGRESS, files=OTHER_PROMPT)
    assert (one.status_code, two.status_code) == (201, 201)
    assert "Warning" not in two.headers
    answer = reader.get(PATH, params={"from": "1.0.0", "to": "1.1.0"})
    assert answer.status_code == 200, answer.text
    sides = [
        Side(each.manifest, each.config, each.layout.open_blob, AGENT, each.config.version) for each in (before, after)
    ]
    assert answer.json() == diff(*sides, bounds=BOUNDS).as_json()
    assert answer.json()["step"]["lines"] == ["capabilities: egress api.example.net asked for now"]
    assert "+Be brief, and kind." in answer.json()["texts"][0]["lines"]
    again = reader.get(PATH, params={"from": "1.0.0", "to": "1.1.0"}, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    back = reader.get(PATH, params={"from": "1.1.0", "to": "1.0.0"}).json()
    assert back["step"]["taken"] is None


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        (PATH, {"from": "1.0.0", "to": "9.0.0"}, 404, "release-unknown"),
        (PATH, {"from": "1.0.0"}, 422, "parameter-invalid"),
        (PATH, {"from": "1.0.0", "to": "stable"}, 400, "reference-invalid"),
        ("/api/v1/agents/acme/none/diff", {"from": "1.0.0", "to": "1.1.0"}, 404, "agent-unknown"),
    ],
    ids=["no release", "no version", "a channel", "no agent"],
)
def test_what_cannot_be_compared_is_told(
    gate_world: GateWorld, reader: httpx2.Client, *, path: str, params: dict[str, str], status: int, code: str
) -> None:
    gate_world.publish("1.0.0")
    answer = reader.get(path, params=params)
    assert (answer.status_code, codes_of(answer)) == (status, [code])


def test_the_example_of_the_contract_is_such_a_document() -> None:
    assert DiffOut.model_validate(EXAMPLE).model_dump(mode="json", by_alias=True) == EXAMPLE


def test_what_a_caller_may_not_read_is_compared_with_nothing(gate_world: GateWorld) -> None:
    gate_world.publish("1.0.0")
    params = {"from": "1.0.0", "to": "1.0.0"}
    answer = httpx2.get(f"{gate_world.url}{PATH}", params=params, trust_env=False)
    assert (answer.status_code, codes_of(answer)) == (401, ["login-needed"])


def test_opaque_releases_are_compared_by_their_descriptors(gate_world: GateWorld, reader: httpx2.Client) -> None:
    gate_world.publish("1.0.0")
    gate_world.publish("1.0.1")
    found = reader.get(PATH, params={"from": "1.0.0", "to": "1.0.1"}).json()
    assert (found["behaviour"], found["demanded"], found["step"]["enough"]) == ("unknown", "none", True)
    assert "descriptors alone" in found["notes"][0]


def test_a_step_that_is_too_small_is_warned_of_and_remembered(
    gate_world: GateWorld, reader: httpx2.Client, tmp_path: Path
) -> None:
    push_version(gate_world, tmp_path, "1.0.0")
    _, answer = push_version(gate_world, tmp_path, "1.0.1", OTHER_CONTRACT, MORE_EGRESS)
    assert answer.status_code == 201
    assert answer.headers["Warning"] == (
        '299 - "the version step is too small: interfaces: answer 1 output widened", '
        '299 - "the version step is too small: capabilities: egress api.example.net asked for now"'
    )
    decision = reader.get(f"/api/v1/agents/{AGENT}/releases/1.0.1").json()["decision"]
    assert [each["code"] for each in decision["warnings"]] == ["step-too-small"] * 2
    assert (decision["step"]["taken"], decision["step"]["proposed"]) == ("patch", "2.0.0")
    assert "R13" in decision["checked"]


def test_a_charter_may_not_want_to_know(gate_world: GateWorld, reader: httpx2.Client, tmp_path: Path) -> None:
    gate_world.govern(gate_world.shop.charter.model_copy(update={"small_step": "allow"}))
    push_version(gate_world, tmp_path, "1.0.0")
    _, answer = push_version(gate_world, tmp_path, "1.0.1", OTHER_CONTRACT)
    assert (answer.status_code, "Warning" in answer.headers) == (201, False)
    decision = reader.get(f"/api/v1/agents/{AGENT}/releases/1.0.1").json()["decision"]
    assert (decision["warnings"], decision["step"]) == ([], None)


def test_the_command_line_compares_releases_of_a_registry_with_each_other_and_with_what_was_built(
    gate_world: GateWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    push_version(gate_world, tmp_path, "1.0.0")
    after, _ = push_version(gate_world, tmp_path, "1.1.0", MORE_EGRESS, files=OTHER_PROMPT)
    host = gate_world.url.removeprefix("http://")
    monkeypatch.setenv("TIDEGATE_TOKEN", gate_world.shop.main.mint_token("carol", gate_world.url))
    monkeypatch.setenv("TIDEGATE_REGISTRY", host)
    shown = []
    for arguments in (
        (f"{host}/{AGENT}:1.0.0", "1.1.0"),
        (f"{AGENT}:1.0.0", f"{AGENT}@{after.manifest.digest}"),
        ("1.0.0", str(after.layout.path)),
    ):
        assert main(["diff", *arguments]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] == shown[2]
    assert shown[0].startswith(f"{AGENT} 1.0.0 → 1.1.0\n")
    assert "minor taken, minor demanded: enough" in shown[0]
    assert "+Be brief, and kind." in shown[0]
    assert main(["diff", AGENT, "1.1.0"]) == 2
