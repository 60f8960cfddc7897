"""crane and cosign as Go modules: tag first, sign afterwards, and each side verifies what the other has signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import AGENT, Done, Shell
from tests.interop.conftest import OPAQUE, Job, find_tool
from tidegate.bundle.layout import Layout
from tidegate.digest import Digest
from tidegate.formats.jcs import canonical_bytes
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, image_manifest
from tidegate.formats.mediatypes import PREDICATE_RELEASE


@dataclass(frozen=True)
class GoTools:
    """crane and cosign in a job. Both read the credentials that `crane auth login` writes."""

    job: Job
    programs: dict[str, Path]

    @property
    def shell(self) -> Shell:
        return self.job.shell.having(DOCKER_CONFIG=str(self.job.home / "docker"))

    @property
    def agent(self) -> str:
        return f"{self.job.registry}/{AGENT}"

    def crane(self, *arguments: str | Path) -> Done:
        return self.shell.run(self.programs["crane"], *arguments)

    def cosign(self, verb: str, *arguments: str | Path) -> Done:
        """Sign, attest or verify with the sandbox's Sigstore; nothing asks the public one."""
        trust = ("--allow-http-registry", "--trusted-root", self.job.sandbox.folder.trusted_root)
        return self.shell.run(self.programs["cosign"], verb, *trust, *arguments)

    def sign(self, verb: str, digest: Digest, *arguments: str | Path, agent: str = AGENT) -> Done:
        token = ("--identity-token", self.job.token("sigstore"))
        signing = ("--yes", "--signing-config", self.job.sandbox.folder.signing_config, *token)
        return self.cosign(verb, *signing, *arguments, f"{self.job.registry}/{agent}@{digest}")

    def verify(self, verb: str, digest: Digest, *arguments: str) -> Done:
        env = self.shell.env
        who = f"{env['GITHUB_SERVER_URL']}/{env['GITHUB_WORKFLOW_REF']}"
        issuer = f"{env['TIDEGATE_SANDBOX_ISSUER']}/ci"
        identity = ("--certificate-identity", who, "--certificate-oidc-issuer", issuer)
        return self.cosign(verb, "--use-signed-timestamps", *identity, *arguments, f"{self.agent}@{digest}")


@pytest.fixture
def go_tools(in_ci: Callable[[str], Job]) -> Callable[[str], GoTools]:
    programs = {name: find_tool(name) for name in ("crane", "cosign")}

    def logged_in(version: str) -> GoTools:
        tools = GoTools(in_ci(version), programs)
        tools.crane("auth", "login", tools.job.registry, "-u", "oidc", "-p", tools.job.registry_token).succeeded()
        return tools

    return logged_in


def test_a_tag_pushed_by_crane_becomes_a_release_when_cosign_has_signed_and_attested(
    go_tools: Callable[[str], GoTools], reader: Shell
) -> None:
    tools = go_tools("3.0.0")
    layout = tools.job.layout("3.0.0")
    digest = Layout.open(layout).root().digest
    tag = f"{tools.agent}:3.0.0"
    pushed = tools.crane("push", layout, tag).succeeded()
    assert pushed.out.strip() == f"{tools.agent}@{digest}"
    assert tools.crane("digest", tag).succeeded().out.strip() == digest
    assert tools.job.release(AGENT, "3.0.0")["state"] == "pending"

    tools.sign("sign", digest).succeeded()
    assert tools.job.release(AGENT, "3.0.0")["state"] == "pending"
    attest = ("--type", "slsaprovenance1", "--predicate", tools.job.provenance())
    tools.sign("attest", digest, *attest).succeeded()
    assert tools.job.release(AGENT, "3.0.0")["state"] == "admitted"

    assert "3.0.0" in tools.crane("ls", tools.agent).succeeded().out.split()
    verified = reader.tidegate("verify", f"{AGENT}:3.0.0").succeeded()
    assert verified.out == f"{AGENT}:3.0.0@{digest}\n"
    pulled = tools.job.home / "pulled"
    tools.crane("pull", "--format=oci", tag, pulled).succeeded()
    assert Layout.open(pulled).root().digest == digest


def test_an_image_needs_a_release_statement_which_cosign_can_make(
    go_tools: Callable[[str], GoTools], reader: Shell
) -> None:
    tools = go_tools("3.4.0")
    layout = Layout.create(tools.job.home / "image")
    layout.put(b"{}")
    image = image_manifest(artifact_type="application/vnd.acme.skills.v1", config=EMPTY_DESCRIPTOR, layers=())
    layout.add_manifest(image, version=None)
    tag = f"{tools.job.registry}/{OPAQUE}:3.4.0"
    tools.crane("push", layout.path, tag).succeeded()
    attest = ("--type", "slsaprovenance1", "--predicate", tools.job.provenance())
    tools.sign("attest", image.digest, *attest, agent=OPAQUE).succeeded()
    tools.sign("sign", image.digest, agent=OPAQUE).succeeded()
    reasons = tools.job.release(OPAQUE, "3.4.0")["reasons"]
    assert isinstance(reasons, list)
    assert [reason["code"] for reason in reasons if isinstance(reason, dict)] == ["no-release-statement"]

    statement = tools.job.home / "release.json"
    statement.write_bytes(canonical_bytes({"agent": OPAQUE, "version": "3.4.0", "digest": image.digest}))
    tools.sign("attest", image.digest, "--type", PREDICATE_RELEASE, "--predicate", statement, agent=OPAQUE).succeeded()
    assert tools.job.release(OPAQUE, "3.4.0")["state"] == "admitted"
    assert image.digest in reader.tidegate("verify", f"{OPAQUE}:3.4.0").succeeded().out


def test_cosign_verifies_what_tidegate_has_signed(go_tools: Callable[[str], GoTools]) -> None:
    tools = go_tools("3.1.0")
    reference = tools.job.shell.tidegate("publish", tools.job.layout("3.1.0")).succeeded().out.strip()
    digest = Digest(reference.partition("@")[2])
    assert "payload" in tools.verify("verify-attestation", digest, "--type", PREDICATE_RELEASE).succeeded().out
    assert "payload" in tools.verify("verify-attestation", digest, "--type", "slsaprovenance1").succeeded().out


def test_crane_shows_why_it_is_refused(go_tools: Callable[[str], GoTools]) -> None:
    tools = go_tools("3.2.0")
    layout = tools.job.layout("3.2.0")
    tools.crane("push", layout, f"{tools.agent}:3.2.0").succeeded()
    digest = Layout.open(layout).root().digest
    channel = tools.crane("tag", f"{tools.agent}@{digest}", "stable")
    assert channel.code != 0
    assert "channel-not-movable" in channel.err
    assert "hint: push a version" in channel.err
    misspelt = tools.crane("push", layout, f"{tools.agent}:v3.2.0")
    assert misspelt.code != 0
    assert "use 3.2.0" in misspelt.err


def test_cosign_shows_why_its_signature_is_refused(go_tools: Callable[[str], GoTools]) -> None:
    tools = go_tools("3.3.0")
    layout = tools.job.layout("3.3.0")
    tools.crane("push", layout, f"{tools.agent}:3.3.0").succeeded()
    digest = Layout.open(layout).root().digest
    predicate = tools.job.home / "score.json"
    predicate.write_text('{"score": 1}')
    done = tools.sign(
        "attest", digest, "--type", "https://tidegate.dev/predicate/evaluation/v1", "--predicate", predicate
    )
    assert done.code != 0
    assert "predicate-type-not-allowed [A17]" in done.err
