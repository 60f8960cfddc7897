"""SLSA provenance v1 of a bundle, written from what the certificate authority has certified about the build.

Nothing here is taken from the environment or the source tree: builder, repository, ref and commit are those in the
certificate that signs the provenance, so that the two cannot differ. Spec page: docs/spec/provenance.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.errors import SigningRefused
from tidegate.formats.identity import CertificateIdentity, ClaimName, workflow_of
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.manifest import Manifest
from tidegate.formats.predicates.provenance import BUILD_TYPE_TIDEGATE, Material, Provenance

if TYPE_CHECKING:
    from tidegate.formats.config import AgentConfig

# what provenance is made of, and the words for it when a certificate lacks it
_NEEDED = {
    ClaimName.BUILD_SIGNER_URI: "the workflow that builds",
    ClaimName.SOURCE_REPOSITORY_URI: "the source repository",
    ClaimName.SOURCE_REPOSITORY_REF: "the git ref",
    ClaimName.SOURCE_REPOSITORY_DIGEST: "the commit",
}
_INTERNAL = (
    ClaimName.BUILD_TRIGGER,
    ClaimName.RUNNER_ENVIRONMENT,
    ClaimName.SOURCE_REPOSITORY_IDENTIFIER,
    ClaimName.SOURCE_REPOSITORY_OWNER_IDENTIFIER,
)


def has_provenance(identity: CertificateIdentity | None) -> bool:
    """Whether `identity` is that of a build, which can say where it comes from. A person's is not."""
    return identity is not None and all(identity.claim(name) for name in _NEEDED)


def provenance_of(identity: CertificateIdentity, manifest: Manifest, config: AgentConfig | None) -> JsonObject:
    """Write the SLSA provenance v1 predicate for `manifest`, built by `identity`. The same build gives the same bytes.

    Resolved dependencies: the repository at its commit, and each model that `config` pins. By-products: the layers,
    with their content digests. No times: the certificate has the only one that is proven.
    Raises SigningRefused (code "provenance-missing") when `identity` is not that of a build.
    """
    missing = [words for name, words in _NEEDED.items() if not identity.claim(name)]
    if missing:
        raise SigningRefused(
            "only a CI job can say where a bundle was built: this identity names no build",
            code="provenance-missing",
            found=f"{identity.san}, without {', '.join(missing)}",
            expected="the identity of a CI job",
            hint="publish from CI, or pass --provenance FILE with a Sigstore bundle that CI made for this digest",
        )
    repository, ref = (
        _claim(identity, ClaimName.SOURCE_REPOSITORY_URI),
        _claim(identity, ClaimName.SOURCE_REPOSITORY_REF),
    )
    predicate = Provenance(
        build_type=BUILD_TYPE_TIDEGATE,
        repository=repository,
        ref=ref,
        path=_workflow_path(identity, repository),
        commit=_claim(identity, ClaimName.SOURCE_REPOSITORY_DIGEST),
        builder_id=_claim(identity, ClaimName.BUILD_SIGNER_URI),
        invocation_id=identity.claim(ClaimName.RUN_INVOCATION_URI),
        materials=_models(config),
    ).as_json()
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    if isinstance(definition, dict) and isinstance(details, dict):
        definition["internalParameters"] = {
            name.value: text for name in _INTERNAL if (text := identity.claim(name)) is not None
        }
        details["byproducts"] = _layers(manifest, config)
    return predicate


def _claim(identity: CertificateIdentity, name: ClaimName) -> str:
    return identity.claim(name) or ""


def _workflow_path(identity: CertificateIdentity, repository: str) -> str:
    """Give the build's configuration file: its path in the repository, or its URI when it lives elsewhere."""
    workflow = workflow_of(identity.claim(ClaimName.BUILD_CONFIG_URI) or _claim(identity, ClaimName.BUILD_SIGNER_URI))
    # GitLab writes two slashes between project and file
    return workflow.removeprefix(f"{repository}/").lstrip("/") if workflow.startswith(f"{repository}/") else workflow


def _models(config: AgentConfig | None) -> tuple[Material, ...]:
    """Give the models a bundle pins; the digest is the author's word, checked by whoever serves the model."""
    materials = []
    for model in config.models if config else ():
        digests = {"sha256": model.digest.hex} if model.digest else {}
        if model.revision:
            digests["gitCommit"] = model.revision
        materials.append(Material(f"model:{model.provider or 'unknown'}/{model.id}", digests))
    return tuple(materials)


def _layers(manifest: Manifest, config: AgentConfig | None) -> list[JsonValue]:
    contents = {component.digest: component for component in config.components} if config else {}
    layers: list[JsonValue] = []
    for layer in manifest.layers:
        described: JsonObject = {"mediaType": layer.media_type, "digest": {layer.digest.algorithm: layer.digest.hex}}
        component = contents.get(layer.digest)
        if component is not None:
            described["name"] = component.kind.value if component.path is None else component.path
            described["annotations"] = {"contentDigest": str(component.content_digest)}
        layers.append(described)
    return layers
