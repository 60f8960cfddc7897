"""From a folder to a running agent and back: publish in CI, verify, pull, verify again with everything stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import AGENT, Done, RunningSandbox, Shell, with_version
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.formats.reference import Reference

DEAD = "127.0.0.1:9"  # nothing listens on the discard port


@pytest.fixture(scope="module")
def released(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example agent, released once as 1.2.0; gives its reference with the digest."""
    home = tmp_path_factory.mktemp("ci")
    example = Path(__file__).parents[2] / "examples" / "support-agent"
    done = sandbox.job(home).tidegate("publish", example, "--channel", "canary").succeeded()
    return done.out.strip()


@pytest.fixture(scope="module")
def bob(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The shell of somebody who may read, logged in; what tests write goes to their own folders."""
    shell = sandbox.shell(tmp_path_factory.mktemp("bob"))
    shell.tidegate("login", "--as", "bob").succeeded()
    return shell


@pytest.fixture(scope="module")
def pulled(bob: Shell, released: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("host") / "agent"
    bob.tidegate("pull", released, "--to", folder).succeeded()
    return folder


def reasons(done: Done) -> list[JsonObject]:
    """The reasons of a refusal, from `--json`."""
    error = done.json["error"]
    listed = error["reasons"] if isinstance(error, dict) else None
    assert isinstance(listed, list)
    return [reason for reason in listed if isinstance(reason, dict)]


def codes(done: Done) -> list[object]:
    """The codes of a refusal, from `--json`."""
    return [reason["code"] for reason in reasons(done)]


def test_publish_gives_the_one_reference_and_tells_its_steps(sandbox: RunningSandbox, released: str) -> None:
    where, at, digest = released.partition("@")
    assert (where, at) == (f"{sandbox.registry}/{AGENT}:1.2.0", "@")
    assert digest.startswith("sha256:")


def test_publishing_again_is_the_same_release(sandbox: RunningSandbox, released: str, home: Path, agent: Path) -> None:
    again = sandbox.job(home).tidegate("publish", agent, "--json").succeeded()
    assert f"{again.json['reference']}" == released
    assert again.json["new"] is False
    assert again.json["evidence"] == []
    assert str(again.json["event"]) == str(sandbox.job(home).tidegate("publish", agent, "--json").json["event"])


def test_publishing_again_is_for_publishers(
    sandbox: RunningSandbox, released: str, home: Path, shell: Shell, agent: Path
) -> None:
    stranger = sandbox.job(home, repository="mallory/fork").tidegate("publish", agent, "--json")
    assert stranger.code == 1
    assert codes(stranger) == ["not-in-charter"]
    assert "Unchanged" not in stranger.err
    shell.tidegate("login", "--as", "bob").succeeded()
    reader = shell.tidegate("publish", agent, "--no-sign", "--json")
    assert reader.code == 1
    assert codes(reader) == ["not-in-charter"]


def test_what_a_release_is_made_of_is_attested_once(sandbox: RunningSandbox, home: Path, agent: Path) -> None:
    with_version(agent, "1.2.1")
    first = sandbox.job(home).tidegate("publish", agent, "--sbom", "--json").succeeded()
    assert [each["type"] for each in evidence(first)] == ["release", "provenance", "sbom-cyclonedx"]
    again = sandbox.job(home).tidegate("publish", agent, "--sbom", "--json").succeeded()
    assert evidence(again) == []


def evidence(done: Done) -> list[JsonObject]:
    """What a run of `publish --json` attached."""
    listed = done.json["evidence"]
    assert isinstance(listed, list)
    return [each for each in listed if isinstance(each, dict)]


def test_a_version_never_moves(sandbox: RunningSandbox, released: str, home: Path, agent: Path) -> None:
    (agent / "README.md").write_text("something else\n")
    done = sandbox.job(home).tidegate("publish", agent, "--json")
    assert done.code == 1
    assert codes(done) == ["version-taken"]
    assert released.partition("@")[2] in done.err


def test_a_refusal_is_the_registrys_own_text(sandbox: RunningSandbox, home: Path, agent: Path) -> None:
    with_version(agent, "1.3.0")
    stranger = sandbox.job(home, repository="mallory/fork")
    done = stranger.tidegate("publish", agent, "--json")
    assert done.code == 1
    assert "not-in-charter" in codes(done)
    for part in ("found", "expected", "hint"):
        assert str(reasons(done)[0][part]) in done.err


def test_everything_a_release_lacks_is_listed_at_once(sandbox: RunningSandbox, home: Path, agent: Path) -> None:
    with_version(agent, "1.4.0")
    layout = home / "layout"
    job = sandbox.job(home, ref="refs/heads/main")
    job.tidegate("build", agent, "--out", layout).succeeded()
    publisher = job.having(TIDEGATE_DEBUG="0")
    done = publisher.tidegate("publish", layout, "--no-sign", "--json")
    assert done.code == 1
    assert codes(done) == ["provenance-missing"]  # told before anything was sent
    job.tidegate("attest", "provenance", layout).succeeded()
    done = publisher.tidegate("publish", layout, "--no-sign", "--json")
    assert done.code == 1
    assert "no-signature" in codes(done)


def test_a_person_is_told_that_provenance_comes_from_ci(shell: Shell, agent: Path) -> None:
    shell.tidegate("login", "--as", "alice").succeeded()
    done = shell.tidegate("publish", with_version(agent, "2.0.0"))
    assert done.code == 1
    assert "--provenance FILE" in done.err
    assert done.out == ""


def test_a_person_publishes_what_ci_has_built_and_attested(
    sandbox: RunningSandbox, shell: Shell, home: Path, agent: Path
) -> None:
    # alice may publish agents of the namespace; where this one was built, only the shared workflow can say
    file = agent / "agent.yaml"
    file.write_text(file.read_text().replace(f"name: {AGENT}", "name: acme/other", 1))
    reusable = "acme/workflows/.ci/workflows/release.yml@refs/heads/main"
    job = sandbox.job(home, repository="acme/other", ref="refs/heads/main", job_workflow_ref=reusable)
    job.tidegate("build", agent, "--out", home / "layout").succeeded()
    job.tidegate("attest", "provenance", home / "layout").succeeded()
    (bundle,) = [p for p in (home / "layout/blobs/sha256").iterdir() if b"dsseEnvelope" in p.read_bytes()[:200000]]
    shell.tidegate("login", "--as", "alice").succeeded()
    done = shell.tidegate("publish", agent, "--provenance", bundle)
    assert done.succeeded().out.startswith(f"{sandbox.registry}/acme/other:1.2.0@sha256:")
    assert "Attached  provenance" in done.err
    assert "Signed  release by alice@sandbox.example" in done.err


def test_verify_says_who_built_what_from_which_commit(bob: Shell, released: str) -> None:
    done = bob.tidegate("verify", f"{AGENT}:1.2.0", "--steps").succeeded()
    digest = released.partition("@")[2]
    assert done.out == f"{AGENT}:1.2.0@{digest}\n"
    for fact in ("release.yml@refs/tags/v1.2.0", "5a" * 20, "sandbox-hosted", "under root sandbox", "UTC", "canary"):
        assert fact in done.err
    assert [line.split()[0] for line in done.err.splitlines() if "signature verify" in line] == ["A12"]
    as_json = bob.tidegate("verify", f"{AGENT}@{digest}", "--json").succeeded().json
    assert as_json["version"] == "1.2.0"
    assert as_json["reference"] == f"{AGENT}:1.2.0@{digest}"


def test_a_host_trusts_its_own_file_and_not_the_registry(bob: Shell, released: str, home: Path) -> None:
    own = Path(bob.env["TIDEGATE_TRUST"])
    text = own.read_text().replace(
        f"workflow: https://git.sandbox.internal/{AGENT}/", "workflow: https://git.elsewhere/x/"
    )
    for name in ("trusted_root.json", "vsa.pub"):
        shutil.copy(own.parent / name, home / name)
    (home / "trust.yaml").write_text(text)
    done = bob.tidegate("verify", released, "--trust", home / "trust.yaml", "--json")
    assert done.code == 1
    assert "identity-not-in-charter" in codes(done)


def test_what_was_pulled_is_complete_and_runs(pulled: Path, shell: Shell) -> None:
    assert sorted(entry.name for entry in pulled.iterdir()) == ["bundle", "layout"]
    assert [entry.name for entry in pulled.parent.iterdir() if entry.name.startswith(".agent")] == []
    assert "usage" in shell.run("python3", "-B", pulled / "bundle" / "main.py", "--help").out.lower()


def test_a_pulled_folder_verifies_with_the_registry_gone(pulled: Path, shell: Shell, released: str) -> None:
    offline = shell.having(TIDEGATE_REGISTRY=DEAD)
    done = offline.tidegate("verify", pulled, "--offline", "--json").succeeded()
    assert done.json["digest"] == released.partition("@")[2]
    assert done.json["files"]
    assert offline.tidegate("verify", pulled, "--offline", "--as", f"{AGENT}:1.2.0").code == 0
    other = offline.tidegate("verify", pulled, "--offline", "--as", f"{AGENT}:9.0.0", "--json")
    assert other.code == 1
    assert codes(other)[0] == "version-mismatch"


def test_every_file_that_is_not_as_signed_is_named(pulled: Path, shell: Shell, home: Path) -> None:
    copy = Path(shutil.copytree(pulled, home / "copy"))
    (copy / "bundle" / "tools.json").write_text("[]")
    (copy / "bundle" / "README.md").unlink()
    (copy / "bundle" / "tools.pyc").write_text("planted")
    done = shell.tidegate("verify", copy, "--offline", "--json")
    assert done.code == 1
    assert {str(code) for code in codes(done)} == {"file-changed", "file-missing", "file-extra"}
    assert len(codes(done)) == 3
    for name in ("tools.json", "README.md", "tools.pyc"):
        assert name in done.err


def test_an_earlier_pull_is_replaced_and_a_failed_one_changes_nothing(
    pulled: Path, bob: Shell, home: Path, released: str
) -> None:
    copy = Path(shutil.copytree(pulled, home / "agent"))
    (copy / "bundle" / "main.py").write_text("spoilt")
    failed = bob.tidegate("pull", released.replace(":1.2.0@", ":1.2.1@"), "--to", copy)
    assert failed.code == 1
    assert (copy / "bundle" / "main.py").read_text() == "spoilt"
    bob.tidegate("pull", released, "--to", copy, "--json").succeeded()
    assert (copy / "bundle" / "main.py").read_bytes() == (pulled / "bundle" / "main.py").read_bytes()
    assert [entry.name for entry in home.iterdir() if entry.name.startswith(".agent")] == []


def test_evidence_comes_from_those_the_charter_names(
    sandbox: RunningSandbox, bob: Shell, released: str, home: Path
) -> None:
    (home / "results.csv").write_text("case,passed,cost [USD]\nrefund,true,0.01\nrefund,true,0.02\n")
    reference = Reference.parse(released)
    review = {"agent": reference.name, "version": reference.version, "digest": reference.digest}
    (home / "review.json").write_text(json.dumps(review | {"verdict": "accepted", "reason": "Fine.", "scope": "all"}))
    evals = sandbox.job(home, repository="acme/evals", ref="refs/heads/main", workflow=".ci/workflows/eval.yml")
    about = ("--suite", "support", "--dataset", home / "results.csv", "--harness", Digest.of(b"harness"))
    what = ("--from", home / "results.csv", "--repeats", "2", "--judge", "openai/gpt-4o-2024-08-06", *about)
    made = evals.tidegate("attest", "evaluation", released, *what)
    assert made.succeeded().out.startswith("sha256:")
    refused = evals.tidegate("attest", "review", released, "--predicate", home / "review.json", "--json")
    assert refused.code == 1
    assert codes(refused) == ["predicate-type-not-allowed"]
    assert "evaluation by eval-workflow" in bob.tidegate("verify", released).succeeded().err


def test_who_is_logged_in_is_shown_and_forgotten(shell: Shell, home: Path) -> None:
    assert shell.tidegate("login", "--as", "alice").succeeded().out == "alice@sandbox.example\n"
    assert (home / ".config/tidegate/credentials.json").stat().st_mode & 0o777 == 0o600
    assert shell.tidegate("whoami").succeeded().out == "alice@sandbox.example\n"
    shell.tidegate("login", "--forget").succeeded()
    stranger = shell.tidegate("whoami", "--json")
    assert stranger.code == 1
    assert "tidegate login" in stranger.err
