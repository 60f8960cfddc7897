"""Media and predicate types, spelled once."""

from __future__ import annotations

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
# layers that a registry need not hold, as a licence forbids it; deprecated by OCI image-spec 1.1
NON_DISTRIBUTABLE = frozenset(
    {
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    }
)

AGENT_BUNDLE = "application/vnd.tidegate.agent.bundle.v1+json"
AGENT_CONFIG = "application/vnd.tidegate.agent.config.v1+json"

SIGSTORE_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
INTOTO_PAYLOAD = "application/vnd.in-toto+json"
INTOTO_STATEMENT = "https://in-toto.io/Statement/v1"
INTOTO_STATEMENT_V01 = "https://in-toto.io/Statement/v0.1"  # what cosign and BuildKit still write; the same members

PREDICATE_RELEASE = "https://tidegate.dev/predicate/release/v1"
PREDICATE_SLSA_PROVENANCE = "https://slsa.dev/provenance/v1"
PREDICATE_VSA = "https://slsa.dev/verification_summary/v1"  # never evidence, so no kind that charters can name
PREDICATE_COSIGN_SIGN = "https://sigstore.dev/cosign/sign/v1"

ANNOTATION_TITLE = "org.opencontainers.image.title"
ANNOTATION_VERSION = "org.opencontainers.image.version"
ANNOTATION_REVISION = "org.opencontainers.image.revision"
ANNOTATION_SOURCE = "org.opencontainers.image.source"
ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name"
ANNOTATION_BEHAVIOUR = "dev.tidegate.agent.behaviour"
ANNOTATION_BUNDLE_CONTENT = "dev.sigstore.bundle.content"
ANNOTATION_PREDICATE_TYPE = "dev.sigstore.bundle.predicateType"
