"""Every parser of the client with a document it accepts: what tests/client/fuzz/test_parsers.py feeds and breaks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.client.bundle.agents import FULL_YAML
from tests.client.formats.test_entry import GOOD as ENTRY
from tests.client.policy.documents import POLICY
from tests.client.policy.test_cases import CASES
from tests.client.tlog.logs import checkpoint_of, log_signer, signed, witness
from tests.client.tlog.vector_recipes import POLICY as LOG_POLICY
from tests.documents import guide_example, json_example
from tests.fuzzing import Target
from tidegate.bundle.archive import ArchiveFiles
from tidegate.bundle.requirements import check_requirements
from tidegate.bundle.spec import AgentFile
from tidegate.credentials.token import IdentityToken
from tidegate.digest import Digest
from tidegate.evaluation.readers import junit, promptfoo, table
from tidegate.formats.bundle import SigstoreBundle
from tidegate.formats.config import AgentConfig
from tidegate.formats.entry import parse_entry
from tidegate.formats.identity import parse_certificate
from tidegate.formats.jcs import canonical_bytes, parse_json
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import INTOTO_STATEMENT, PREDICATE_RELEASE
from tidegate.formats.predicates.provenance import Provenance
from tidegate.formats.predicates.release import ReleasePredicate
from tidegate.formats.predicates.types import (
    PREDICATE_APPROVAL,
    PREDICATE_BREAK_GLASS,
    PREDICATE_CYCLONEDX,
    PREDICATE_EVALUATION,
    PREDICATE_REVIEW,
    PREDICATE_SHADOW,
    PREDICATE_SPDX,
    PREDICATE_TEST_RESULT,
    PREDICATE_VULNERABILITIES,
    short_name,
)
from tidegate.formats.predicates.views import view_of
from tidegate.formats.reference import Reference
from tidegate.formats.statement import Statement
from tidegate.formats.trustfile import parse_charter, parse_trust_file
from tidegate.policy.cases.run import run_cases
from tidegate.policy.load import load_policy
from tidegate.remote.answers import error_of
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.note import VerifierKey, verify_note
from tidegate.tlog.policy import LogPolicy
from tidegate.tlog.proof import LogProof
from tidegate.tlog.tiles import decode_bundle, encode_bundle, parse_tile_path
from tidegate.tlog.witness import AddCheckpoint

DIGEST = "sha256:" + "ab" * 32
ISSUER = "https://ci.example"
CHARTER = f"""\
agent: acme/support-agent
publishers:
  - {{name: ci, root: main, issuer: "{ISSUER}", workflow: "https://git.example/a/b/ci.yml", refs: ["refs/tags/v*"]}}
attesters:
  - {{name: evals, root: main, issuer: "{ISSUER}", identity: e@example.com, types: [evaluation]}}
builders: {{"https://git.example/a/b/ci.yml@refs/tags/*": 2}}
protectedRefs: ["refs/tags/v*"]
"""
RELEASE = {"agent": "acme/support-agent", "version": "1.2.0", "digest": DIGEST, "channels": ["dev"]}
PROVENANCE = {
    "buildDefinition": {
        "buildType": "https://actions.github.io/buildtypes/workflow/v1",
        "externalParameters": {
            "workflow": {"ref": "refs/heads/main", "repository": "https://git.example/a/b", "path": "ci.yml"}
        },
        "resolvedDependencies": [
            {"uri": "git+https://git.example/a/b@refs/heads/main", "digest": {"gitCommit": "ab" * 20}}
        ],
    },
    "runDetails": {"builder": {"id": "https://git.example/a/b/ci.yml@refs/heads/main"}},
}
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": DIGEST, "size": 2},
    "layers": [{"mediaType": "a/b", "digest": DIGEST, "size": 5, "annotations": {"k": "v"}}],
    "subject": {"mediaType": "a/b", "digest": DIGEST, "size": 5},
}
PROBLEM = {"errors": [{"code": "DENIED", "message": "no", "detail": {"reasons": [{"code": "x", "message": "y"}]}}]}


PREDICATES = {
    PREDICATE_EVALUATION: json_example("evaluation"),
    PREDICATE_APPROVAL: json_example("approval"),
    PREDICATE_BREAK_GLASS: json_example("break-glass"),
    PREDICATE_REVIEW: json_example("review"),
    PREDICATE_SHADOW: json_example("shadow-comparison"),
    PREDICATE_VULNERABILITIES: json_example("evidence-of-others", 0),
    PREDICATE_TEST_RESULT: json_example("evidence-of-others", 1),
    PREDICATE_CYCLONEDX: json_example("evidence-of-others", 2),
    PREDICATE_SPDX: {"spdxVersion": "SPDX-2.3", "packages": [{"name": "a"}]},
    "https://example.org/unknown": {"n": 1, "list": [1, 2.5, None]},
}


def _archive(raw: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "layout.tar")
        path.write_bytes(raw)
        return ArchiveFiles.open(path)


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda raw: parse(raw.decode("latin-1"))


def _predicate(parse: Callable[..., object]) -> Callable[[bytes], object]:
    def run(raw: bytes) -> object:
        value = parse_json(raw, limit=1 << 20, what="predicate")
        return parse(value) if isinstance(value, dict) else None

    return run


def _viewed(kind: str) -> Callable[[bytes], object]:
    return _predicate(lambda predicate: view_of(kind, predicate))


def _statement() -> bytes:
    subject = [{"name": "acme/support-agent", "digest": {"sha256": "ab" * 32}}]
    return canonical_bytes(
        {"_type": INTOTO_STATEMENT, "subject": subject, "predicateType": PREDICATE_RELEASE, "predicate": RELEASE}
    )


def _sigstore_members(raw: bytes) -> object:
    bundle = SigstoreBundle.parse(raw)
    return bundle.media_type, bundle.is_attestation


SMALL_POLICY = b"""\
format: tidegate/policy/v1
roles: {a: [{issuer: "https://i.example", claims: {g: {glob: "x*"}}}]}
channels: [dev, stable]
freezes: [{name: f, channels: [dev], weekly: {days: [fri], from: "16:00", tz: UTC}}]
transitions:
- {to: dev, allow: [a], require: [{id: r, approvals: {count: 1, role: a, maxAge: 1h}}]}
editors: {allow: [a]}
"""
SMALL_OVERLAY = b"""\
format: tidegate/policy-overlay/v1
namespace: acme
transitions: [{to: dev, allow: [a], require: [{id: s, upstream: {channels: [stable]}}]}]
"""
_POLICY = load_policy(POLICY.encode())

TARGETS = (
    Target("json", lambda raw: parse_json(raw, limit=1 << 20, what="it"), b'{"a":[1,2.5,"x",null,true]}'),
    Target("digest", _text(Digest.parse), DIGEST.encode()),
    Target("reference", _text(Reference.parse), f"127.0.0.1:5000/acme/a:1.2.0-rc.1@{DIGEST}".encode()),
    Target("manifest", Manifest.parse, canonical_bytes(MANIFEST)),
    Target("statement", Statement.parse, _statement()),
    Target("release predicate", _predicate(ReleasePredicate.parse), canonical_bytes(RELEASE)),
    Target("provenance predicate", _predicate(Provenance.parse), canonical_bytes(PROVENANCE)),
    *(
        Target(f"{short_name(kind)} read for policies", _viewed(kind), canonical_bytes(example))
        for kind, example in PREDICATES.items()
    ),
    Target("JUnit XML", junit.read_runs, guide_example("attest-an-evaluation", "xml")),
    Target("results as CSV", table.read_runs, guide_example("attest-an-evaluation", "csv")),
    Target("promptfoo's results", promptfoo.read_runs, guide_example("attest-an-evaluation", "json")),
    Target(
        "sigstore bundle",
        _sigstore_members,
        canonical_bytes({"mediaType": "x", "dsseEnvelope": {"signatures": [{"sig": "AA=="}], "payload": "AA=="}}),
    ),
    Target("certificate", parse_certificate, b"0\x82\x01\x00" + bytes(range(256))),
    Target("agent.yaml", AgentFile.parse, FULL_YAML.encode()),
    Target("charter", lambda raw: parse_charter(raw, name="charter.yaml"), CHARTER.encode()),
    Target(
        "trust.yaml",
        lambda raw: parse_trust_file(raw, name="trust.yaml"),
        b"roots:\n  main: {file: trusted_root.json}\ncharters:\n  - file: charter.yaml\n",
    ),
    Target("policy", load_policy, SMALL_POLICY),
    Target("overlay", lambda raw: load_policy(SMALL_POLICY, raw), SMALL_OVERLAY),
    Target("cases of a policy", lambda raw: run_cases(_POLICY, raw), CASES.encode()),
    Target("config blob", AgentConfig.parse, canonical_bytes({"name": "acme/a", "version": "1.0.0", "files": []})),
    Target("entry of the log", parse_entry, canonical_bytes(ENTRY)),
    Target("verifier key", _text(VerifierKey.parse), str(log_signer().key).encode()),
    Target("signed note", lambda raw: verify_note(raw, [log_signer().key]), signed(300, witnesses=[witness(1)])),
    Target("checkpoint", Checkpoint.parse, checkpoint_of(300).text),
    Target("tile path", _text(parse_tile_path), b"tile/0/x001/x234/067.p/12"),
    Target("entry bundle", lambda raw: decode_bundle(raw, 3), encode_bundle([b"a", b"", b"ccc"])),
    Target("proof from a log", LogProof.parse, LogProof(7, (bytes(32),) * 3, signed(300), b"entry").raw),
    Target("witness's request", AddCheckpoint.parse, AddCheckpoint(7, (bytes(32),) * 3, signed(300)).raw),
    Target("policy of logs", LogPolicy.parse, LOG_POLICY.encode()),
    Target("layout archive", _archive, b"oci-layout" + b"\0" * 502),
    Target("requirements", lambda raw: check_requirements(raw, "requirements.txt"), b"six==1.16.0 --hash=sha256:abcd"),
    Target("identity token", lambda raw: IdentityToken.parse(raw.decode("latin-1"), audience="a"), b"e30.e30.AA"),
    Target("registry's answer", lambda raw: error_of(403, raw, what="it"), canonical_bytes(PROBLEM)),
)
