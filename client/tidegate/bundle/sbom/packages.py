"""Packages that lock files and package metadata name. Strangers' files: bounded, typed errors, nothing is run.

Source: docs/spec/sbom.md, which lists the files. Parsers take bytes and give plain values.
"""

from __future__ import annotations

import base64
import binascii
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.parser import BytesHeaderParser
from typing import Literal

from tidegate.bundle.requirements import MAX_REQUIREMENTS_BYTES, logical_lines
from tidegate.errors import BundleRefused, JsonInvalid
from tidegate.formats.jcs import JsonObject, JsonValue, parse_object
from tidegate.formats.paths import printable

MAX_LOCK_BYTES = 16 << 20  # the largest package-lock.json of a public monorepo has some 3 MiB
MAX_METADATA_BYTES = 1 << 20  # METADATA carries the README of the package
MAX_PACKAGES = 20_000
MAX_TEXT = 300  # characters of a name, version or licence

Ecosystem = Literal["pypi", "npm"]
_REQUIREMENT = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]{0,200})\s*(?:\[[^\]]*\])?\s*(?:===?\s*([A-Za-z0-9.!+_-]{1,100})\s*(?=;|$|\s))?"
)
_HEX = {"sha256": 64, "sha384": 96, "sha512": 128}  # digits
_HASH = re.compile(r"(sha(?:256|384|512)):([0-9a-f]+)")
# Source: PEP 508, "Names", normalized as PEP 503 says
_PYTHON_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
# Source: validate-npm-package-name, for old packages: what a URL holds as it is, and at most one scope
_NODE_NAME = re.compile(r"(?:@[A-Za-z0-9._~!'()*-]+/)?[A-Za-z0-9._~!'()*-]+")
_EXACT_NPM = re.compile(r"=?v?[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*")


@dataclass(frozen=True, slots=True)
class Package:
    """A package as a file of the bundle names it. `version` is None when the file allows several.

    `hashes`: of its archives, `(algorithm, hex)`. `found_in`: paths of the bundle.
    """

    ecosystem: Ecosystem
    name: str
    version: str | None
    hashes: frozenset[tuple[str, str]] = frozenset()
    licence: str | None = None
    found_in: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A kind of file that names packages."""

    pattern: re.Pattern[str]
    limit: int
    parse: Callable[[bytes, str], Iterator[Package]]


def package_file(path: str, requirements: str | None = None) -> PackageFile | None:
    """Give how the file `path` is read, None when it names no packages. `requirements`: the file agent.yaml names."""
    if path == requirements:
        return REQUIREMENTS
    return next((kind for kind in PACKAGE_FILES if kind.pattern.search(path)), None)


def find_packages(files: Mapping[str, bytes], requirements: str | None = None) -> tuple[Package, ...]:
    """Give every package that `files` (path to content) name, each once, in a stable order.

    Raises BundleRefused, code `sbom-source-invalid`, when one of them is not what its name says.
    """
    found: dict[tuple[str, str, str | None], Package] = {}
    for path in sorted(files):
        kind = package_file(path, requirements)
        for package in kind.parse(files[path], path) if kind is not None else ():
            _check_name(package, path)
            key = package.ecosystem, package.name, package.version
            found[key] = _merged(found.get(key), replace(package, found_in=frozenset({path})))
            if len(found) > MAX_PACKAGES:
                raise _invalid(path, "it names too many packages", expected=f"at most {MAX_PACKAGES}")
    locked = {(ecosystem, name) for ecosystem, name, version in found if version is not None}
    kept = (found[key] for key in sorted(found, key=lambda key: (*key[:2], key[2] or "")))
    return tuple(each for each in kept if each.version is not None or (each.ecosystem, each.name) not in locked)


def _check_name(package: Package, path: str) -> None:
    """Check that the name can be one: in a package URL another would be another package, or none."""
    pattern = _PYTHON_NAME if package.ecosystem == "pypi" else _NODE_NAME
    if len(package.name) > MAX_TEXT or not pattern.fullmatch(package.name):
        raise _invalid(path, "a package without a name that can be one", found=printable(package.name[:MAX_TEXT]))


def _merged(one: Package | None, two: Package) -> Package:
    if one is None:
        return two
    return replace(
        one,
        hashes=one.hashes | two.hashes,
        licence=one.licence or two.licence,
        found_in=one.found_in | two.found_in,
    )


# -- Python -----------------------------------------------------------------------------------------------------------


def _requirements(raw: bytes, path: str) -> Iterator[Package]:
    for _, line in logical_lines(_text(raw, path)):
        match = _REQUIREMENT.match(line)
        if match is not None and not line[match.end() :].lstrip().startswith("@"):  # else a URL: not from an index
            yield _python(match[1], match[2], hashes=_hashes_in(line))


def _toml_lock(raw: bytes, path: str) -> Iterator[Package]:
    """uv.lock, poetry.lock, pylock.toml: an array of tables, each with a name and a version."""
    document = _toml(raw, path)
    for entry in _objects(document.get("package", document.get("packages"))):
        source = _object(entry.get("source"))
        if source.keys() & {"virtual", "editable", "directory"} or entry.get("directory"):
            continue  # the agent itself
        name = entry.get("name")
        if not isinstance(name, str):
            raise _invalid(path, "a package without a name")
        archives = [*_objects(entry.get("wheels")), *_objects(entry.get("files")), _object(entry.get("sdist"))]
        yield _python(
            name, _string(entry.get("version")), hashes=[pair for each in archives for pair in _archive(each)]
        )


def _archive(archive: JsonObject) -> Iterator[tuple[str, str]]:
    one = archive.get("hash")
    if isinstance(one, str):
        yield from _hashes_in(one)
    for algorithm, value in _object(archive.get("hashes")).items():
        yield from _hashes_in(f"{algorithm}:{value}")


def _hashes_in(text: str) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in _HASH.findall(text) if len(value) == _HEX[name])


def _pyproject(raw: bytes, path: str) -> Iterator[Package]:
    project = _object(_toml(raw, path).get("project"))
    declared = project.get("dependencies")
    for line in declared if isinstance(declared, list) else ():
        if isinstance(line, str) and (match := _REQUIREMENT.match(line)):
            yield _python(match[1], match[2])


def _metadata(raw: bytes, path: str) -> Iterator[Package]:
    headers = BytesHeaderParser().parsebytes(raw.partition(b"\n\n")[0] + b"\n\n")
    name, version = headers.get("Name"), headers.get("Version")
    if not name or not version:
        raise _invalid(path, "it has no Name or no Version")
    yield _python(str(name).strip(), str(version).strip(), licence=_licence(headers.get("License-Expression")))


def _python(
    name: str, version: str | None, *, hashes: Iterable[tuple[str, str]] = (), licence: str | None = None
) -> Package:
    # Source: PEP 503, "Normalized Names"
    return Package("pypi", re.sub(r"[-_.]+", "-", name).lower(), _cut(version), frozenset(hashes), licence)


# -- Node -------------------------------------------------------------------------------------------------------------


def _package_lock(raw: bytes, path: str) -> Iterator[Package]:
    document = _json(raw, path, MAX_LOCK_BYTES)
    packages = document.get("packages")
    if isinstance(packages, dict):  # lockfileVersion 2 and 3
        for where, entry in packages.items():
            name = where.rpartition("node_modules/")[2]
            if "node_modules/" in where and isinstance(entry, dict) and not entry.get("link"):
                yield _node(_string(entry.get("name")) or name, entry)
        return
    pending = [_object(document.get("dependencies"))]  # lockfileVersion 1: nested
    while pending:
        for name, entry in pending.pop().items():
            if isinstance(entry, dict):
                yield _node(name, entry)
                pending.append(_object(entry.get("dependencies")))


def _package_json(raw: bytes, path: str) -> Iterator[Package]:
    """An installed package names itself; that of the agent names what it depends on."""
    document = _json(raw, path, MAX_METADATA_BYTES)
    name, version = _string(document.get("name")), _string(document.get("version"))
    if "node_modules/" in path:
        if name and version:  # else a marker inside a package, such as {"type": "module"}
            yield _node(name, document)
        return
    for name, wanted in _object(document.get("dependencies")).items():
        exact = isinstance(wanted, str) and _EXACT_NPM.fullmatch(wanted)
        yield Package("npm", name, _cut(wanted.lstrip("=v")) if isinstance(wanted, str) and exact else None)


def _node(name: str, entry: JsonObject) -> Package:
    hashes = frozenset(_integrity(_string(entry.get("integrity")) or ""))
    licence = _licence(_string(entry.get("license")))
    return Package("npm", name, _cut(_string(entry.get("version"))), hashes, licence)


def _integrity(text: str) -> Iterator[tuple[str, str]]:
    """Read Subresource Integrity, `sha512-BASE64 …`."""
    for part in text[:MAX_TEXT].split():
        algorithm, _, value = part.partition("-")
        if algorithm in _HEX:
            try:
                found = base64.b64decode(value, validate=True).hex()
            except binascii.Error:
                continue
            if len(found) == _HEX[algorithm]:
                yield algorithm, found


REQUIREMENTS = PackageFile(re.compile(r"(?:^|/)requirements[^/]*\.txt$"), MAX_REQUIREMENTS_BYTES, _requirements)
PACKAGE_FILES = (
    REQUIREMENTS,
    PackageFile(
        re.compile(r"(?:^|/)(?:uv|poetry)\.lock$|(?:^|/)pylock(?:\.[^/]+)?\.toml$"), MAX_LOCK_BYTES, _toml_lock
    ),
    PackageFile(re.compile(r"(?:^|/)pyproject\.toml$"), MAX_METADATA_BYTES, _pyproject),
    PackageFile(re.compile(r"\.dist-info/METADATA$|\.egg-info/PKG-INFO$"), MAX_METADATA_BYTES, _metadata),
    PackageFile(re.compile(r"(?:^|/)package-lock\.json$|(?:^|/)\.package-lock\.json$"), MAX_LOCK_BYTES, _package_lock),
    PackageFile(
        re.compile(r"(?:^|/)node_modules/(?:@[^/]+/)?[^/]+/package\.json$|^package\.json$"),
        MAX_METADATA_BYTES,
        _package_json,
    ),
)


# -- reading what strangers wrote -------------------------------------------------------------------------------------


def _text(raw: bytes, path: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _invalid(path, "it is not UTF-8", found=str(error)) from error


def _toml(raw: bytes, path: str) -> JsonObject:
    try:
        return tomllib.loads(_text(raw, path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _invalid(path, "it is not TOML", found=str(error)[:MAX_TEXT]) from error


def _json(raw: bytes, path: str, limit: int) -> JsonObject:
    try:
        return parse_object(raw, limit=limit, what=printable(path))
    except JsonInvalid as error:
        raise _invalid(path, error.message, found=error.reasons[0].found) from error


def _invalid(path: str, message: str, *, found: str | None = None, expected: str | None = None) -> BundleRefused:
    return BundleRefused(
        f"{printable(path)}: {message}",
        code="sbom-source-invalid",
        found=found,
        expected=expected or "what a file of that name holds",
        hint="mend it, or leave it out of the bundle: a list that skips it would not be true",
    )


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: JsonValue) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _string(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None


def _licence(text: object) -> str | None:
    line = str(text or "").strip()
    return line if 0 < len(line) <= MAX_TEXT and "\n" not in line else None


def _cut(text: str | None) -> str | None:
    return text[:MAX_TEXT] if text is not None else None
