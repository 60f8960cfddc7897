"""Packages are found in what lock files and package metadata say, and hostile ones are refused, not skipped."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from tidegate.bundle.sbom.packages import find_packages, package_file
from tidegate.errors import BundleRefused

A, B = "a" * 64, "b" * 64
SRI = "sha512-" + "A" * 86 + "=="

SOURCES: dict[str, tuple[str, list[tuple[str, str, str | None, set[str]]]]] = {
    "requirements.txt": (
        f"""# locked
Httpx_2[http2]==2.16.2 ; python_version > '3' \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
loose>=1
six @ https://example.test/six.whl
""",
        [("pypi", "httpx-2", "2.16.2", {A, B}), ("pypi", "loose", None, set())],
    ),
    "sub/uv.lock": (
        f"""[[package]]
name = "me"
version = "1"
source = {{virtual = "."}}
[[package]]
name = "idna"
version = "3.20"
sdist = {{hash = "sha256:{A}"}}
wheels = [{{hash = "sha256:{B}"}}]
""",
        [("pypi", "idna", "3.20", {A, B})],
    ),
    "poetry.lock": (
        f'[[package]]\nname = "idna"\nversion = "3.20"\nfiles = [{{file = "i.whl", hash = "sha256:{A}"}}]\n',
        [("pypi", "idna", "3.20", {A})],
    ),
    "pylock.toml": (
        f'[[packages]]\nname = "idna"\nversion = "3.20"\nwheels = [{{hashes = {{sha256 = "{A}"}}}}]\n',
        [("pypi", "idna", "3.20", {A})],
    ),
    "pyproject.toml": (
        '[project]\ndependencies = ["rich>=14", "pyyaml == 6.0.3"]\n',
        [("pypi", "pyyaml", "6.0.3", set()), ("pypi", "rich", None, set())],
    ),
    "lib/PyYAML-6.0.3.dist-info/METADATA": (
        "Metadata-Version: 2.4\nName: PyYAML\nVersion: 6.0.3\nLicense-Expression: MIT\n\n# Name: of nothing\n",
        [("pypi", "pyyaml", "6.0.3", set())],
    ),
    "package-lock.json": (
        json.dumps(
            {
                "packages": {
                    "": {"name": "me"},
                    "node_modules/@a/b": {"version": "1.0.0", "integrity": SRI, "license": "MIT"},
                    "node_modules/x/node_modules/c": {"version": "2.0.0"},
                    "node_modules/mine": {"link": True},
                }
            }
        ),
        [("npm", "@a/b", "1.0.0", {"00" * 64}), ("npm", "c", "2.0.0", set())],
    ),
    "old/package-lock.json": (
        '{"dependencies": {"a": {"version": "1.0.0", "dependencies": {"b": {"version": "2.0.0"}}}}}',
        [("npm", "a", "1.0.0", set()), ("npm", "b", "2.0.0", set())],
    ),
    "node_modules/@a/b/package.json": (
        '{"name": "@a/b", "version": "1.0.0", "license": {"type": "MIT"}}',
        [("npm", "@a/b", "1.0.0", set())],
    ),
    "package.json": (
        '{"name": "me", "dependencies": {"a": "^1", "b": "2.0.0"}}',
        [("npm", "a", None, set()), ("npm", "b", "2.0.0", set())],
    ),
}


@pytest.mark.parametrize("path", SOURCES)
def test_each_kind_of_file_is_read(path: str) -> None:
    text, expected = SOURCES[path]
    found = find_packages({path: text.encode()})
    assert [
        (each.ecosystem, each.name, each.version, {value for _, value in each.hashes}) for each in found
    ] == expected
    assert {source for each in found for source in each.found_in} == {path}


def test_what_several_files_say_of_one_package_is_put_together() -> None:
    paths = ("poetry.lock", "lib/PyYAML-6.0.3.dist-info/METADATA", "pyproject.toml")
    found = {each.name: each for each in find_packages({path: SOURCES[path][0].encode() for path in paths})}
    assert found["pyyaml"].licence == "MIT"
    assert found["pyyaml"].found_in == {"lib/PyYAML-6.0.3.dist-info/METADATA", "pyproject.toml"}


def test_a_package_without_version_is_told_only_where_nothing_says_more() -> None:
    lock = '[[package]]\nname = "rich"\nversion = "15.0.0"\n'
    found = find_packages({"uv.lock": lock.encode(), "pyproject.toml": SOURCES["pyproject.toml"][0].encode()})
    assert [(each.name, each.version) for each in found] == [("pyyaml", "6.0.3"), ("rich", "15.0.0")]


def test_the_requirements_that_agent_yaml_names_are_read_whatever_their_name() -> None:
    assert package_file("locked/all.lock") is None
    assert [each.name for each in find_packages({"locked/all.lock": b"a==1\n"}, "locked/all.lock")] == ["a"]


HOSTILE: dict[str, tuple[str, bytes]] = {
    "deep TOML": ("uv.lock", b"a = " + b"[" * 100_000),
    "deep JSON": ("package-lock.json", b'{"packages": ' + b"[" * 100_000),
    "not TOML": ("poetry.lock", b"[[package"),
    "not text": ("requirements.txt", b"\xff\xfe"),
    "a list": ("package.json", b"[]"),
    "a key twice": ("package-lock.json", b'{"packages": {}, "packages": {}}'),
    "no name": ("uv.lock", b"[[package]]\nversion = '1'\n"),
    "a name of nothing": ("package-lock.json", b'{"packages": {"node_modules/": {"version": "1.0.0"}}}'),
    "a scope of nothing": ("package-lock.json", b'{"packages": {"node_modules/@a/": {"version": "1.0.0"}}}'),
    "a name with a path": ("uv.lock", b"[[package]]\nname = 'x/../y'\nversion = '1'\n"),
    "a name of space": ("uv.lock", b"[[package]]\nname = ' '\nversion = '1'\n"),
    "a name of dots": ("a.dist-info/METADATA", b"Name: ...\nVersion: 1\n\n"),
    "a name for a terminal": ("package.json", b'{"dependencies": {"\\u001b[2J": "1.0.0"}}'),
    "a long name": ("uv.lock", b"[[package]]\nname = '" + b"a" * 301 + b"'\nversion = '1'\n"),
    "no version": ("a.dist-info/METADATA", b"Name: a\n\n"),
    "too many": ("requirements.txt", b"".join(b"p%d==1\n" % number for number in range(20_001))),
}


def test_a_hash_of_another_length_is_none() -> None:
    files = {
        "requirements.txt": f"a==1 --hash=sha512:{A} --hash=sha256:{A}{B} --hash=sha256:{B}".encode(),
        "package-lock.json": b'{"packages": {"node_modules/c": {"version": "1.0.0", "integrity": "sha512-QUFB"}}}',
    }
    assert [each.hashes for each in find_packages(files)] == [frozenset(), frozenset({("sha256", B)})]


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_is_not_what_its_name_says_is_refused(case: str) -> None:
    path, raw = HOSTILE[case]
    with pytest.raises(BundleRefused) as caught:
        find_packages({path: raw})
    assert [reason.code for reason in caught.value.reasons] == ["sbom-source-invalid"]
    assert path in caught.value.message


@pytest.mark.parametrize(
    "value", [1, None, [], [1], {"a": 1}, {"packages": 1}, {"package": [1]}, {"dependencies": [1]}]
)
def test_odd_shapes_of_json_name_nothing_or_are_refused(value: object) -> None:
    for path in ("package-lock.json", "package.json", "node_modules/a/package.json"):
        with suppress(BundleRefused):
            assert find_packages({path: json.dumps(value).encode()}) == ()
