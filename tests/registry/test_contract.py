"""openapi.yaml, asked of the running registry by a program of others: Schemathesis, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.registry.promotion.world import POLICY, Promotions
from tests.workshop import AGENT
from tidegate.formats.charter import SignerRule

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = 15  # for each operation and way to make them
MOST_SECONDS = 240

# What a schema cannot say is refused for good reasons: a size above the limit, a digest twice, a name with slashes in
# /v2/ (OpenAPI's path parameters hold none), a version that is not there.
LEFT_OUT = ["positive_data_acceptance"]
BY_PATH = {
    # `…/uploads/commit` is posted to, and by its form it could be an upload that is asked about: both are allowed there
    "/api": ["--include-path-regex", "^/api", "--exclude-checks", ",".join([*LEFT_OUT, "allow_header_conformance"])],
    "/v2": ["--include-path-regex", "^/v2", "--exclude-checks", ",".join(LEFT_OUT)],
}


ROLES = ("developers", "reviewers", "release-managers", "admins")


def everything_to_carol(promotions: Promotions) -> str:
    """Give a token of somebody who may do anything that the charter or a policy can let anybody do."""
    policy = POLICY
    for role in ROLES:
        policy = policy.replace(f"groups: {role}", "identity: carol@sandbox.example")
    promotions.install(policy)
    publisher = SignerRule(**promotions.approver("carol").model_dump(exclude={"person", "channels"}))
    promotions.govern(
        publishers=(*promotions.charter.publishers, publisher), break_glass=(promotions.approver("carol"),)
    )
    scopes = (
        f"repository:{AGENT}:pull,push,promote",
        "repository:acme/other:pull,push,promote",
        "registry:api:*,manage",
    )
    token: str = promotions.gate.token("carol", *scopes).json()["token"]
    return token


@pytest.mark.slow
@pytest.mark.timeout(MOST_SECONDS + 90)
@pytest.mark.parametrize("part", BY_PATH)
def test_whatever_is_sent_the_registry_answers_as_its_description_says(
    part: str, promotions: Promotions, tmp_path: Path
) -> None:
    environment = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    subprocess.run(["scripts/bootstrap", "contract", ".venv-contract"], cwd=ROOT, check=True, timeout=180)
    promotions.publish("1.2.0")
    promotions.promote("1.2.0", "dev")
    promotions.publish("1.3.0")
    asked = subprocess.run(
        [
            ROOT / ".venv-contract/bin/schemathesis", "run", ROOT / "openapi.yaml", "--url", promotions.gate.url,
            "--header", f"Authorization: Bearer {everything_to_carol(promotions)}",
            "--phases", "examples,coverage,fuzzing",
            "--max-examples", str(EXAMPLES), "--seed", "1", "--continue-on-failure", *BY_PATH[part],
        ],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=MOST_SECONDS,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stdout
