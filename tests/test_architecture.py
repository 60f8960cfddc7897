"""Imports point one way, each contract is seen to break, start-up stays light, public names are what they say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tidegate
from tidegate.cli.main import VERBS

ROOT = Path(__file__).parents[1]
HEAVY = ("cryptography", "httpx2", "pydantic", "rich", "sigstore", "yaml")  # each costs 50 ms or more to import
SERVER = "the client never imports the server"
LAYERS = "inside the client, imports point one way"
PURE = "deciding modules do no I/O"
SANDBOX = "only the command line may reach the sandbox"


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts over the packages in `tree`, with the settings of this repository."""
    return subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            "--no-cache",
            "--no-logo",
            "--config",
            ROOT / "pyproject.toml",
        ],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": f"{tree / 'client'}:{tree / 'registry'}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of both packages, to spoil."""
    only_python = shutil.ignore_patterns("__pycache__", "*.html", "*.css", "*.js")
    shutil.copytree(ROOT / "client" / "tidegate", tmp_path / "client" / "tidegate", ignore=only_python)
    package = Path("registry", "tidegate_registry")
    shutil.copytree(ROOT / package, tmp_path / package, ignore=only_python)
    return tmp_path


def test_every_contract_is_kept(tree: Path) -> None:
    done = lint_imports(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    for contract in (SERVER, LAYERS, PURE, SANDBOX):
        assert f"{contract} KEPT" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("client/tidegate/digest.py", "tidegate_registry", SERVER),
        ("client/tidegate/errors.py", "tidegate.digest", LAYERS),
        ("client/tidegate/formats/jcs.py", "tidegate.verify.trust", LAYERS),
        ("client/tidegate/policy/evidence.py", "tidegate.bundle.layout", LAYERS),
        ("client/tidegate/verify/trust.py", "tidegate.releases.pull", LAYERS),
        ("client/tidegate/formats/reference.py", "http.client", PURE),
        ("client/tidegate/tlog/reader.py", "httpx2", PURE),
        ("registry/tidegate_registry/admission/decide.py", "sqlalchemy", PURE),
        ("registry/tidegate_registry/access/rights.py", "fastapi", PURE),
        ("registry/tidegate_registry/app.py", "tidegate_registry.sandbox", SANDBOX),
        ("registry/tidegate_registry/admission/service.py", "tidegate_registry.sandbox.tlog", SANDBOX),
    ],
)
def test_a_contract_breaks_when_it_is_violated(tree: Path, module: str, imported: str, contract: str) -> None:
    with (tree / module).open("a", encoding="utf-8") as file:
        file.write(f"\n\ndef _hidden() -> None:\n    import {imported}\n")  # an import in a function counts too
    done = lint_imports(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout


def modules_after(code: str) -> set[str]:
    """Give the top-level packages that `code` loads in a fresh interpreter."""
    report = "import sys; sys.stdout = sys.__stdout__; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"import io, sys; sys.stdout = io.StringIO()\n{code}\n{report}"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_importing_tidegate_loads_nothing_heavy() -> None:
    assert not modules_after("import tidegate").intersection(HEAVY)


@pytest.mark.parametrize("verb", ["", *(verb for group in VERBS.values() for verb in group)])
def test_help_loads_nothing_heavy(verb: str) -> None:
    arguments = [verb, "--help"] if verb else ["--help"]
    code = f"from tidegate.cli.main import main\ntry: main({arguments})\nexcept SystemExit as end: assert not end.code"
    assert not modules_after(code).intersection(HEAVY)


def test_the_probe_for_heavy_modules_finds_them() -> None:
    assert "yaml" in modules_after("import yaml")


def test_all_names_what_there_is() -> None:
    assert list(tidegate.__all__) == sorted(tidegate.__all__)
    for name in tidegate.__all__:
        assert not name.startswith("_") or name == "__version__"
        assert getattr(tidegate, name).__doc__


def test_public_functions_can_be_called_whatever_was_imported_before() -> None:
    code = (
        "import tidegate.verify.trust, tidegate.releases.pull\nassert callable(tidegate.verify)\ntidegate.pull.__name__"
    )
    modules_after(f"{code}\nassert callable(tidegate.verify) and callable(tidegate.unpack)")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = tidegate.no_such_name


def test_every_error_class_is_importable_from_tidegate_errors_and_drawn_in_its_tree() -> None:
    from tidegate import errors

    classes = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.TidegateError)
    ]
    assert errors.__doc__ is not None
    for error in classes:
        assert error.__name__ in errors.__doc__
        assert error.__doc__
