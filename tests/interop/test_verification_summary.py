"""cosign and slsa-verifier verify what the registry signed about its own decision, as docs/guides says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import AGENT, Done, Shell
from tests.interop.conftest import Job, find_tool
from tidegate.digest import Digest
from tidegate.formats.mediatypes import PREDICATE_VSA

WAIT_SECONDS = 30.0


def published(job: Job, version: str) -> Digest:
    """Publish, and wait until the worker has summed the decision up."""
    reference = job.shell.tidegate("publish", job.layout(version)).succeeded().out.strip()
    deadline = time.monotonic() + WAIT_SECONDS
    while (done := job.shell.tidegate("verify", "--vsa", f"{AGENT}:{version}")).code != 0:
        assert time.monotonic() < deadline, done.err
    return Digest(reference.partition("@")[2])


def test_tidegate_tells_whose_word_it_is_and_a_channel_it_was_not_let_into_is_refused(
    in_ci: Callable[[str], Job], reader: Shell
) -> None:
    job = in_ci("5.0.0")
    digest = published(job, "5.0.0")
    told = reader.tidegate("verify", "--vsa", f"{AGENT}:5.0.0", "--level", "SLSA_BUILD_LEVEL_2").succeeded()
    assert told.out.strip() == f"{AGENT}:5.0.0@{digest}"
    assert "signed word" in told.err
    refused = reader.tidegate("verify", "--vsa", f"{AGENT}:5.0.0", "--channel", "stable")
    assert (refused.code, "vsa-level [S11]" in refused.err) == (1, True)


def test_cosign_verifies_the_summary_by_the_key_in_the_trust_file_and_no_other(in_ci: Callable[[str], Job]) -> None:
    job, cosign = in_ci("5.1.0"), find_tool("cosign")
    digest = published(job, "5.1.0")
    shell = logged_in(job)
    image = f"{job.registry}/{AGENT}@{digest}"
    asked = ("--insecure-ignore-tlog=true", "--allow-http-registry", "--type", PREDICATE_VSA, image)
    key = job.sandbox.folder.vsa_public_key
    verified = shell.run(cosign, "verify-attestation", "--key", key, *asked).succeeded()
    assert "payload" in verified.out
    other = job.home / "other.pub"
    other.write_text(OTHER_KEY)
    assert shell.run(cosign, "verify-attestation", "--key", other, *asked).code != 0


def test_slsa_verifier_compares_levels_verifier_and_resource(in_ci: Callable[[str], Job]) -> None:
    job, cosign, verifier = in_ci("5.2.0"), find_tool("cosign"), find_tool("slsa-verifier")
    digest = published(job, "5.2.0")
    shell = logged_in(job)
    image = f"{job.registry}/{AGENT}@{digest}"
    download = ("download", "attestation", "--allow-http-registry", "--predicate-type", PREDICATE_VSA, image)
    bundle = shell.run(cosign, *download).succeeded().out.splitlines()[0]
    envelope = job.home / "vsa.json"
    envelope.write_text(json.dumps(json.loads(bundle)["dsseEnvelope"]))  # noqa: TID251 - as jq would

    def verify(level: str, resource: str = f"oci://{image}", verifier_id: str = f"http://{job.registry}") -> Done:
        return shell.run(
            verifier,
            "verify-vsa",
            *("--attestation-path", envelope, "--public-key-path", job.sandbox.folder.vsa_public_key),
            *("--subject-digest", str(digest), "--verifier-id", verifier_id, "--resource-uri", resource),
            *("--verified-level", level, "--verified-level", "TIDEGATE_ADMITTED"),
        )

    verify("SLSA_BUILD_LEVEL_2").succeeded()
    assert verify("SLSA_BUILD_LEVEL_3").code != 0
    assert verify("SLSA_BUILD_LEVEL_2", f"oci://{job.registry}/acme/other@{digest}").code != 0
    assert verify("SLSA_BUILD_LEVEL_2", verifier_id="https://other.example").code != 0


def logged_in(job: Job) -> Shell:
    """Give a shell in which cosign finds the job's credential."""
    folder = job.home / "docker"
    login = (job.registry, "-u", "oidc", "-p", job.registry_token)
    shell = job.shell.having(DOCKER_CONFIG=str(folder))
    shell.run(find_tool("crane"), "auth", "login", *login).succeeded()
    assert Path(folder).is_dir()
    return shell


OTHER_KEY = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""
