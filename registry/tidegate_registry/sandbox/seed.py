"""What the sandbox writes for its users: the environment to source, trust file, policy, the trust documents."""

from __future__ import annotations

import json
import shlex

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tidegate.tlog.note import VerifierKey
from tidegate_registry.audit.keys import log_signer, open_key
from tidegate_registry.sandbox.certificates import utc_now
from tidegate_registry.sandbox.files import replace_file
from tidegate_registry.sandbox.folder import LOG_KEY, VSA_KEY, SandboxFolder, SandboxPorts
from tidegate_registry.sandbox.jobs import SERVER_URL
from tidegate_registry.sandbox.keys import KeyStore
from tidegate_registry.sandbox.policy import ROOT_NAME, policy_file
from tidegate_registry.sandbox.ports import LOOPBACK, PROXY_EXCEPTIONS
from tidegate_registry.sandbox.sigstore import SigstoreInstance
from tidegate_registry.sandbox.users import DEMO_AGENT, DEMO_NAMESPACE, USERS
from tidegate_registry.sandbox.witness import Witness


def write_files(folder: SandboxFolder, ports: SandboxPorts, instance: SigstoreInstance) -> None:
    """Write everything; trust file and policy only when there are none, since their owner may have edited them."""
    replace_file(folder.trusted_root, _json(instance.trusted_root()))
    replace_file(folder.client_trust_config, _json(instance.client_trust_config()))
    replace_file(folder.signing_config, _json(instance.signing_config()))
    replace_file(folder.env, environment_file(folder, ports).encode())
    log_key = make_worker_keys(folder, ports)
    if not folder.trust.exists():
        witness_key = str(make_witness(folder, ports).key)
        worker = worker_trust(log_key, witness_key, ports.registry_url)
        text = trust_file(ports.sigstore_url, worker)
        replace_file(folder.trust, text.encode())
    if not folder.policy.exists():
        replace_file(folder.policy, policy_file(ports.sigstore_url).encode())


def make_worker_keys(folder: SandboxFolder, ports: SandboxPorts) -> str:
    """Make the worker's keys where there are none, and the public one beside the trust file; gives the log's vkey."""
    keys = KeyStore(folder.keys)
    keys.ed25519_key(LOG_KEY)
    vsa = keys.ec_key(VSA_KEY, SECP256R1())
    public = vsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    replace_file(folder.vsa_public_key, public)
    return str(log_signer(ports.log_origin, open_key(f"file:{folder.log_key}", what="log key")).key)


def make_witness(folder: SandboxFolder, ports: SandboxPorts) -> Witness:
    """Make the witness of the sandbox's own audit log."""
    log_key = VerifierKey.parse(make_worker_keys(folder, ports))
    return Witness(KeyStore(folder.keys), folder.witness, {log_key.name: log_key}, utc_now)


def worker_trust(log_key: str, witness_key: str, registry_url: str) -> str:
    """Give the part of the trust file that names the keys of the sandbox's worker and of its witness."""
    return f"""\
# what signs the checkpoints of this sandbox's audit log, and the witness that must have cosigned them
log:
  key: {log_key}
  witnesses: {{need: 1, of: ["{witness_key}"]}}
# what signs summaries of its decisions, for `tidegate verify --vsa` and other tools
vsa:
  - name: sandbox
    verifier: {registry_url}
    key: {{file: vsa.pub}}
"""


def environment(folder: SandboxFolder, ports: SandboxPorts) -> dict[str, str]:
    """Give what a shell needs to use this sandbox."""
    return {
        "TIDEGATE_SANDBOX": "1",
        "TIDEGATE_REGISTRY": ports.registry_address,
        "TIDEGATE_TRUST": str(folder.trust),
        "TIDEGATE_SIGSTORE": str(folder.client_trust_config),
        "TIDEGATE_SANDBOX_ISSUER": ports.sigstore_url,
        "TIDEGATE_SANDBOX_DIR": str(folder.path),
    }


def environment_file(folder: SandboxFolder, ports: SandboxPorts) -> str:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment(folder, ports).items()]
    # a shell behind a proxy reaches this machine without it
    hosts = ",".join(LOOPBACK)
    lines += [f'export {name}="{hosts}${{{name}:+,${name}}}"' for name in PROXY_EXCEPTIONS]
    return "\n".join(["# source this file to use the sandbox; nothing in it is secret", *lines, ""])


def trust_file(issuer: str, worker: str = "") -> str:
    """Give the trust file: the sandbox's root, `worker`'s keys, and the charters of the demo namespace."""
    alice, bob = USERS["alice"].email, USERS["bob"].email
    approving = _approving(issuer)
    workflow = f"{SERVER_URL}/{DEMO_AGENT}/.ci/workflows"
    shared = f"{SERVER_URL}/{DEMO_NAMESPACE}/workflows/.ci/workflows/release.yml"
    return f"""\
# Whom this machine believes about agents: the trusted roots by name, and the charters.
# It trusts a SANDBOX root, under which anybody on this machine may sign as anybody: never copy it to a real host.
# Written by `tidegate-registry sandbox` when it is not there; edit it as you like.
format: tidegate/trust/v1
roots:
  {ROOT_NAME}:
    file: trusted_root.json
    sandbox: true
{worker}charters:
  # every agent of the namespace that has no charter of its own: a reusable workflow of another repository publishes
  # it, so the certificate's subject has the workflow's ref, and `refs` are those of the agent's repository
  - agent: {DEMO_NAMESPACE}/*
    publishers:
{_shared_rule("shared-workflow-main", f"{shared}@refs/heads/main", issuer)}
{_shared_rule("shared-workflow-v1", f"{shared}@refs/tags/v1", issuer)}
      - name: alice
        root: {ROOT_NAME}
        issuer: {issuer}
        identity: {alice}
    attesters:
      - name: eval-workflow
        root: {ROOT_NAME}
        issuer: {issuer}/ci
        workflow: {SERVER_URL}/{DEMO_NAMESPACE}/evals/.ci/workflows/eval.yml
        refs: [refs/heads/main]
        types: [evaluation, test-result]
      - name: bob
        root: {ROOT_NAME}
        issuer: {issuer}
        identity: {bob}
        types: [review]
{approving}
    builders:
      {shared}@refs/tags/v1: 3
      {shared}@refs/heads/main: 3
    protectedRefs: [refs/heads/main, refs/tags/v*]
  # the example agent: its own repository's pipeline publishes it, another one evaluates it
  - agent: {DEMO_AGENT}
    publishers:
      - name: release-workflow
        root: {ROOT_NAME}
        issuer: {issuer}/ci
        workflow: {workflow}/release.yml
        refs: [refs/heads/main, refs/tags/v*]
        claims:
          sourceRepositoryURI: {SERVER_URL}/{DEMO_AGENT}
    attesters:
      - name: eval-workflow
        root: {ROOT_NAME}
        issuer: {issuer}/ci
        workflow: {SERVER_URL}/{DEMO_NAMESPACE}/evals/.ci/workflows/eval.yml
        refs: [refs/heads/main]
        types: [evaluation, test-result]
      - name: bob
        root: {ROOT_NAME}
        issuer: {issuer}
        identity: {bob}
        types: [review]
{approving}
    builders:
      {workflow}/release.yml@refs/tags/v*: 2
      {workflow}/release.yml@refs/heads/main: 2
    protectedRefs: [refs/heads/main, refs/tags/v*]
"""


def _approving(issuer: str) -> str:
    """Who approves, for both charters: one person for staging, two for stable, and nobody for dev."""
    approvers = "\n".join(_person_rule(name, issuer) for name in ("bob", "carol"))
    return f"""\
    approvers:
{approvers}
    # how many of them by channel; with 0 the release statement must list the channel (`tidegate publish --channel dev`)
    approvals: {{dev: 0, staging: 1, stable: 2}}
    breakGlass:
{_person_rule("carol", issuer)}"""


def _person_rule(name: str, issuer: str) -> str:
    return f"""\
      - name: {name}
        root: {ROOT_NAME}
        issuer: {issuer}
        identity: {USERS[name].email}"""


def _shared_rule(name: str, identity: str, issuer: str) -> str:
    return f"""\
      - name: {name}
        root: {ROOT_NAME}
        issuer: {issuer}/ci
        identity: {identity}
        refs: [refs/heads/main, refs/tags/v*]
        claims:
          sourceRepositoryOwnerURI: {SERVER_URL}/{DEMO_NAMESPACE}"""


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, indent=1).encode() + b"\n"
