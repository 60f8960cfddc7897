"""A bundle's config is a stranger's word: whatever it says of the content that is not so is refused.

Threat: a bundle that is not what its config says (docs/spec/bundle.md, "Unpacking").
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.archives import PROMPT, codes, refused, steps
from tests.client.bundle.forged import Forged
from tidegate.bundle.content import check_bundle
from tidegate.digest import Digest
from tidegate.errors import BundleRefused
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes
from tidegate.formats.manifest import Manifest


def drop(member: str, choose: Callable[[Forged], JsonObject]) -> Callable[[Forged], object]:
    return lambda it: it.list_of(member).remove(choose(it))


def say(choose: Callable[[Forged], JsonObject], **members: JsonValue) -> Callable[[Forged], object]:
    return lambda it: choose(it).update(members)


def install(requirements: str) -> Callable[[Forged], object]:
    return lambda it: it.config.update(runtime={"kind": "python", "requirements": requirements})


def prompt(it: Forged) -> JsonObject:
    return it.file(PROMPT)


def code(it: Forged) -> JsonObject:
    return it.component("code")


def model(it: Forged) -> JsonObject:
    return it.list_of("models")[0]


OTHER = str(Digest.of(b"other"))
LIES: dict[str, tuple[Callable[[Forged], object], str, str]] = {
    "a file's size": (say(prompt, size=1000), "component-inconsistent", "B4"),
    "a file's mode": (say(prompt, mode="x"), "component-inconsistent", "B4"),
    "a file's digest": (say(prompt, sha256=OTHER), "component-inconsistent", "B4"),
    "a file's component": (say(prompt, component="docs"), "component-inconsistent", "B4"),
    "a file in no layer": (drop("components", lambda it: it.component("docs")), "files-without-layer", "B4"),
    "a JSON file in no layer": (drop("components", lambda it: it.component("tools")), "files-without-layer", "B4"),
    "a layer without a file": (drop("files", lambda it: it.file("tools.json")), "component-inconsistent", "B4"),
    "a tar that is a file": (say(code, path="main.py"), "component-inconsistent", "B4"),
    "a media type": (say(code, mediaType="application/x-tar"), "component-inconsistent", "B4"),
    "a content digest": (say(code, contentDigest=OTHER), "component-inconsistent", "B4"),
    "the content digest of weights": (
        say(lambda it: it.component("weights"), contentDigest=OTHER),
        "component-inconsistent",
        "B4",
    ),
    "a file's layer": (say(lambda it: it.component("tools"), digest=OTHER), "component-inconsistent", "B4"),
    "the layer of pins": (say(lambda it: it.component("models"), path="m.json"), "component-inconsistent", "B4"),
    "the order of layers": (lambda it: it.list_of("components").reverse(), "components-unsorted", "B4"),
    "a layer twice": (lambda it: it.list_of("components").insert(0, code(it)), "components-unsorted", "B4"),
    "the order of files": (lambda it: it.list_of("files").reverse(), "files-unsorted", "B3"),
    "a requirements file": (install("x.txt"), "requirements-missing", "B4"),
    "requirements among the docs": (install("agent.yaml"), "requirements-missing", "B4"),
    "a pin": (say(model, id="gpt-4o-2024-08-06"), "model-pins-differ", "B7"),
    "a pin added": (lambda it: it.list_of("models").append({"id": "x-20250101"}), "model-pins-differ", "B7"),
    "a floating model": (lambda it: model(it).pop("unpinned"), "model-unpinned", "B7"),
    "a pin by a file that is no weights": (say(model, file="main.py"), "model-file-missing", "B7"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_config_that_lies_about_its_content_is_refused(forged: Forged, tmp_path: Path, lie: str) -> None:
    change, reason_code, step = LIES[lie]
    change(forged)
    error = refused(forged, tmp_path)
    assert (reason_code, step) in {(reason.code, reason.step) for reason in error.reasons}


def test_a_behavioural_version_of_other_content_is_refused(forged: Forged, tmp_path: Path) -> None:
    forged.config["behaviour"], forged.honest_behaviour = str(Digest.of(b"tame")), False
    error = refused(forged, tmp_path)
    assert codes(error) == ["behaviour-differs", "behaviour-differs"]
    assert steps(error) == {"B9"}


@pytest.mark.parametrize(
    "change",
    [
        {"entrypoint": ["sh", "-c", "evil"]},
        {"capabilities": {"secrets": ["ROOT_PASSWORD"]}},
        {"runtime": {"kind": "vendored", "python": ">=3.11"}},
        {"state": {"schema": 1, "migrate": ["sh", "-c", "evil"]}},
        {"interfaces": {"provides": [{"name": "x"}]}},
        {"requirements": {"programs": ["git"]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_an_agent_declares_is_behaviour(forged: Forged, tmp_path: Path, change: JsonObject) -> None:
    forged.config.update(change)
    forged.honest_behaviour = False
    assert "behaviour-differs" in codes(refused(forged, tmp_path))


@pytest.mark.parametrize("key", ["title", "version"])
def test_annotations_that_name_another_agent_are_refused(forged: Forged, tmp_path: Path, key: str) -> None:
    forged.annotations[f"org.opencontainers.image.{key}"] = "acme/other"
    error = refused(forged, tmp_path)
    assert codes(error) == ["annotation-differs"]
    assert steps(error) == {"B6"}


def other_layers(forged: Forged, change: Callable[[list[JsonObject]], object]) -> Manifest:
    manifest = forged.seal()
    layers = [layer.as_json() for layer in manifest.layers]
    change(layers)
    forged.manifest["layers"] = [*layers]
    return forged.seal()


LAYER_CHANGES: dict[str, Callable[[list[JsonObject]], object]] = {
    "other order": lambda layers: layers.reverse(),
    "one fewer": lambda layers: layers.pop(),
    "one more": lambda layers: layers.append(layers[0]),
    "other size": lambda layers: layers[0].update(size=1),
    "a title": lambda layers: layers[0].update(annotations={"org.opencontainers.image.title": "../evil"}),
    "compressed": lambda layers: layers[0].update(mediaType=f"{layers[0]['mediaType']}+zstd"),
}


@pytest.mark.parametrize("change", LAYER_CHANGES)
def test_layers_that_are_not_the_components_are_refused(forged: Forged, tmp_path: Path, change: str) -> None:
    error = refused(forged, tmp_path, other_layers(forged, LAYER_CHANGES[change]))
    assert ("layer-compressed" if change == "compressed" else "layers-differ") in codes(error)
    assert steps(error) == {"B5"}


@pytest.mark.parametrize(
    "change",
    [
        {"artifactType": "application/vnd.example"},
        {"config": {"mediaType": "application/json", "digest": str(Digest.of(b"{}")), "size": 2}},
        {"subject": {"mediaType": "application/json", "digest": str(Digest.of(b"{}")), "size": 2}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_manifest_of_another_kind_is_no_bundle(forged: Forged, tmp_path: Path, change: JsonObject) -> None:
    forged.manifest.update(change)
    error = refused(forged, tmp_path)
    assert codes(error) == ["not-a-bundle"]
    assert steps(error) == {"B1"}


def test_a_config_blob_of_other_bytes_is_refused(forged: Forged, tmp_path: Path) -> None:
    manifest = forged.seal()
    digest = manifest.blobs[0].digest
    forged.blobs[digest] = forged.blobs[digest].replace(b"1.2.0", b"1.2.1")
    error = refused(forged, tmp_path, manifest)
    assert codes(error) == ["config-digest"]
    assert steps(error) == {"B2"}


CONFIGS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a repeated key": (lambda raw: raw[:-1] + b',"name":"acme/other"}', "config-not-json"),
    "white space": (lambda raw: raw.replace(b'"name":', b'"name": '), "config-not-canonical"),
    "a default written out": (lambda raw: raw[:-1] + b',"state":null}', "config-not-canonical"),
    "an unknown key": (lambda raw: raw[:-1] + b',"zzz":1}', "config-invalid"),
    "text for a number": (lambda raw: raw.replace(b'"size":10', b'"size":"10"'), "config-invalid"),
    "a negative size": (lambda raw: raw.replace(b'"size":10', b'"size":-10'), "config-invalid"),
    "an unknown mode": (lambda raw: raw.replace(b'"mode":"-"', b'"mode":"s"'), "config-invalid"),
    "no version": (lambda raw: raw.replace(b'"1.2.0"', b'"v1.2"'), "config-invalid"),
    "no name": (lambda raw: raw.replace(b"acme/support-agent", b"../../etc"), "config-invalid"),
    "a list": (lambda _: b"[]", "config-not-json"),
    "depth": (lambda _: b"[" * 5000, "config-not-json"),
    "no UTF-8": (lambda _: b"\xff", "config-not-json"),
    "nothing": (lambda _: b"", "config-not-json"),
}


@pytest.mark.parametrize("what", CONFIGS)
def test_a_config_blob_that_means_two_things_or_none_is_refused(forged: Forged, tmp_path: Path, what: str) -> None:
    change, reason_code = CONFIGS[what]
    error = refused(forged, tmp_path, forged.seal(change(canonical_bytes(forged.config))))
    assert reason_code in codes(error)
    assert steps(error) == {"B2"}


def test_a_config_blob_beyond_its_limit_is_not_read(forged: Forged, tmp_path: Path) -> None:
    config: JsonObject = {**forged.seal().blobs[0].as_json(), "size": 1 << 40}
    forged.manifest["config"] = config
    assert codes(refused(forged, tmp_path)) == ["config-too-large"]


def test_a_config_blob_that_never_ends_is_not_read_to_its_end(forged: Forged) -> None:
    manifest = forged.seal()
    digest = manifest.blobs[0].digest
    forged.blobs[digest] += b" " * 100
    with pytest.raises(BundleRefused) as caught:
        check_bundle(manifest, forged.open_blob)
    assert codes(caught.value) == ["blob-trailing-data"]


@pytest.mark.parametrize(
    ("raw", "reason_code"),
    [
        (b'{"name":1e999}', "layer-not-json"),
        (b'{"a":1,"a":2}', "layer-not-json"),
        (b"[" * 100 + b"]" * 100, "layer-not-json"),
        (b'{"name": "y"}', "content-digest"),
    ],
    ids=["infinite", "repeated key", "deep", "another"],
)
def test_a_tool_schema_that_is_not_the_one_declared_is_refused(
    forged: Forged, tmp_path: Path, raw: bytes, reason_code: str
) -> None:
    forged.put_layer("tools", raw)
    digest = forged.component("tools")["digest"]
    forged.component("tools").update(size=len(raw))
    forged.file("tools.json").update(size=len(raw), sha256=digest)
    assert codes(refused(forged, tmp_path)) == [reason_code]


def test_a_json_layer_beyond_its_limit_is_not_read(forged: Forged, tmp_path: Path) -> None:
    forged.component("tools").update(size=1 << 30)
    forged.file("tools.json").update(size=1 << 30)
    assert codes(refused(forged, tmp_path)) == ["layer-too-large"]
