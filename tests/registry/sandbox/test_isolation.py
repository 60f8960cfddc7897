"""No production code path reaches the sandbox: its keys and its issuer count on this machine only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import tidegate
import tidegate_registry

SANDBOX = "tidegate_registry.sandbox"
MAY_REACH_IT = {"cli.py", "cli"}  # the command line that starts it
REGISTRY = Path(str(tidegate_registry.__file__)).parent
CLIENT = Path(str(tidegate.__file__)).parent


def imported_names(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)  # import_module("…")
    return names


def reaches_sandbox(source: str) -> bool:
    return any(f"{name}.".startswith(f"{SANDBOX}.") for name in imported_names(source))


def production_modules() -> list[Path]:
    inside = [path for path in REGISTRY.rglob("*.py") if path.relative_to(REGISTRY).parts[0] not in MAY_REACH_IT]
    return [path for path in inside if "sandbox" not in path.relative_to(REGISTRY).parts] + list(CLIENT.rglob("*.py"))


def test_no_production_module_names_the_sandbox() -> None:
    modules = production_modules()
    assert len(modules) > 20
    reaching = [path for path in modules if reaches_sandbox(path.read_text())]
    assert not reaching


def test_what_reaches_the_sandbox_is_noticed() -> None:
    for line in (
        "from tidegate_registry.sandbox import keys",
        "from tidegate_registry import sandbox",
        "import tidegate_registry.sandbox.keys",
        'import_module("tidegate_registry.sandbox")',
    ):
        assert reaches_sandbox(line)


def test_the_arguments_are_read_without_anything_heavy() -> None:
    script = (
        "import sys, argparse; from tidegate_registry.sandbox import cli;"
        "cli.add_parser(argparse.ArgumentParser().add_subparsers());"
        "print([name for name in ('pydantic', 'cryptography', 'starlette', 'uvicorn', 'boto3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
