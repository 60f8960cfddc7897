"""sigstore-js, which GitHub's attest actions are made of: it verifies our bundles, and attaches bundles here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import AGENT, Done
from tests.interop.conftest import Job, find_in_tools, find_tool
from tidegate.bundle.layout import Layout
from tidegate.digest import Digest

HERE = Path(__file__).parent
MAX_BUNDLE_BYTES = 4 << 20


@dataclass(frozen=True)
class SigstoreJs:
    """Its packages in a job, called by the scripts beside this file."""

    job: Job
    node: Path
    modules: Path

    def run(self, script: str, *arguments: str | Path, **env: str) -> Done:
        shell = self.job.shell.having(NODE_PATH=str(self.modules), REGISTRY_TOKEN=self.job.registry_token, **env)
        return shell.run(self.node, HERE / script, *arguments)

    def verify(self, bundle: Path, *options: str, issuer: str | None = None) -> Done:
        env = self.job.shell.env
        who = f"{env['GITHUB_SERVER_URL']}/{env['GITHUB_WORKFLOW_REF']}"
        root = self.job.sandbox.folder.trusted_root
        issuer = issuer or f"{env['TIDEGATE_SANDBOX_ISSUER']}/ci"
        return self.run("sigstore_verify.cjs", root, bundle, who, issuer, *options)

    def attach(self, bundle: Path, digest: Digest, **env: str) -> Done:
        return self.run("sigstore_attach.cjs", f"{self.job.registry}/{AGENT}", digest, bundle, **env)

    def bundles(self, layout: Path) -> Sequence[Path]:
        """Write each bundle that is attached in a layout to a file."""
        opened = Layout.open(layout)
        found = []
        for referrer in opened.referrers(opened.root().digest):
            file = self.job.home / f"{referrer.digest.hex[:12]}.sigstore.json"
            file.write_bytes(opened.read_blob(referrer.layers[0].digest, MAX_BUNDLE_BYTES))
            found.append(file)
        return found


@pytest.fixture
def sigstore_js(in_ci: Callable[[str], Job]) -> Callable[[str], SigstoreJs]:
    node, modules = find_tool("node", "node 20 or newer, from your system"), find_in_tools("node", "node_modules")
    return lambda version: SigstoreJs(in_ci(version), node, modules)


def test_sigstore_js_verifies_what_tidegate_has_signed(sigstore_js: Callable[[str], SigstoreJs]) -> None:
    # Rekor v2 logs an envelope as the hash of what is signed; @sigstore/verify 3.1 still compares the payload's
    js = sigstore_js("4.0.0")
    layout = js.job.layout("4.0.0")
    js.job.shell.tidegate("sign", layout).succeeded()
    (bundle,) = js.bundles(layout)
    assert "release.yml@refs/tags/v4.0.0" in js.verify(bundle, "--inclusion-only").succeeded().out
    assert js.verify(bundle).err == "TLOG_BODY_ERROR: digest mismatch\n"
    elsewhere = js.verify(bundle, "--inclusion-only", issuer="https://elsewhere.example")
    assert "UNTRUSTED_SIGNER_ERROR" in elsewhere.err


def test_what_sigstore_js_attaches_is_evidence(sigstore_js: Callable[[str], SigstoreJs]) -> None:
    js = sigstore_js("4.1.0")
    layout = js.job.layout("4.1.0")
    digest = Layout.open(layout).root().digest
    tidegate = js.job.shell.tidegate
    tidegate("attest", "provenance", layout).succeeded()
    refused = tidegate("publish", layout, "--no-sign", "--json")
    assert "no-signature" in refused.err  # so the bundle is in quarantine now
    known = set(js.bundles(layout))
    tidegate("sign", layout).succeeded()
    (signature,) = set(js.bundles(layout)) - known
    attached = js.attach(signature, digest).succeeded()
    assert attached.out.startswith("sha256:")
    again = js.attach(signature, digest)
    assert "expected 201, received 403" in again.err  # it shows no more of a refusal
    tidegate("publish", layout, "--no-sign").succeeded()
    assert js.job.release(AGENT, "4.1.0")["state"] == "admitted"


def test_sigstore_js_is_refused_without_a_token_that_counts(sigstore_js: Callable[[str], SigstoreJs]) -> None:
    js = sigstore_js("4.2.0")
    layout = js.job.layout("4.2.0")
    js.job.shell.tidegate("sign", layout).succeeded()
    (bundle,) = js.bundles(layout)
    assert js.attach(bundle, Layout.open(layout).root().digest, REGISTRY_USER="somebody").code != 0
