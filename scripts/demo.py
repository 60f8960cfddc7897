#!/usr/bin/env python3
"""The main job on the embedded stack, told in chapters. Run it by `scripts/demo`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.demo_forgeries import forgeries
from scripts.demo_log import log
from scripts.demo_promotion import policy, promotion, rollback
from scripts.demo_stage import AGENT, ROOT, DemoFailed, Stage, new_stage, paint
from tidegate.bundle.layout import Layout
from tidegate.formats.config import AgentConfig

VERSION = "1.2.0"


def build(stage: Stage) -> None:
    """An agent's folder becomes a bundle, the same to the byte on every machine."""
    shutil.copytree(ROOT / "examples/support-agent", stage.folder / "support-agent")
    one = stage.run("tidegate", "build", "support-agent", "--out", "bundle", cwd=stage.folder).stdout
    two = stage.run("tidegate", "build", "support-agent", "--out", "again", cwd=stage.folder).stdout
    if one.split()[-1].rpartition("@")[2] != two.split()[-1].rpartition("@")[2]:
        raise DemoFailed("two builds of the same folder differ")
    stage.run("tidegate", "inspect", "bundle", cwd=stage.folder)


def publish(stage: Stage) -> None:
    """The pipeline that the charter names signs keyless, attests how it built, and publishes."""
    layout = stage.folder / "published"
    channel = ("--channel", "dev")  # the release statement says that it may enter dev without anybody's approval
    folder, tag = stage.folder / "support-agent", f"refs/tags/v{VERSION}"
    stage.ci("tidegate", "publish", folder, "--layout", layout, *channel, ref=tag)
    stage.tell("The same again is the same release:")
    stage.ci("tidegate", "publish", folder, *channel, ref=tag)


def pull(stage: Stage) -> None:
    """A host fetches it and proves everything again, from its own trust file; later without any registry."""
    stage.run("tidegate", "login", "--as", "bob")
    stage.run("tidegate", "pull", f"{AGENT}:{VERSION}", "--to", "pulled", cwd=stage.folder)
    stage.run("tidegate", "verify", f"{AGENT}:{VERSION}", cwd=stage.folder)
    stage.tell("\nThe registry is stopped now:")
    stage.stop_sandbox()
    stage.run("tidegate", "verify", "pulled", "--offline", cwd=stage.folder)


def run(stage: Stage) -> None:
    """The agent that was pulled starts and does its work."""
    layout = Layout.open(stage.folder / "pulled/layout")
    blob = layout.root().blobs[0]
    config = AgentConfig.parse(layout.read_blob(blob.digest, blob.size))
    stage.tell(f"The signed entrypoint is `{' '.join(config.entrypoint)}`; in pulled/bundle:")
    for question in ("Where is my order 1001?", "What is 17 * 23?"):
        stage.run(*config.entrypoint, "--task", question, cwd=stage.folder / "pulled/bundle")


def foreign(stage: Stage) -> None:
    """An agent from the package index that nobody here wrote: prompts inside YAML, models that float."""
    folder = stage.folder / "mini-swe-agent"
    fetched = subprocess.run(
        [sys.executable, ROOT / "examples/mini-swe-agent/fetch.py", folder],
        env=stage.env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if fetched.returncode:
        stage.tell(f"skipped: the package index is out of reach ({fetched.stderr.strip().splitlines()[-1]})")
        return
    stage.tell(paint("$ python examples/mini-swe-agent/fetch.py mini-swe-agent", 1))
    shared = "acme/workflows/.ci/workflows/release.yml@refs/heads/main"
    stage.ci("tidegate", "publish", folder, repository="acme/mini-swe-agent", reusable=shared)
    stage.run("tidegate", "login", "--as", "bob")
    stage.run("tidegate", "pull", "acme/mini-swe-agent:2.4.6", "--to", "pulled-mini", cwd=stage.folder)


# chapter -> what it does, and the chapters whose results it stands on
CHAPTERS: dict[str, tuple[Callable[[Stage], None], tuple[str, ...]]] = {
    "build": (build, ()),
    "publish": (publish, ("build",)),
    "forgeries": (forgeries, ("build", "publish")),
    "promotion": (promotion, ("build", "publish")),
    "policy": (policy, ("build", "publish", "promotion")),
    "rollback": (rollback, ("build", "publish", "promotion")),
    "log": (log, ("build", "publish", "promotion")),
    "foreign": (foreign, ()),
    "pull": (pull, ("build", "publish")),
    "run": (run, ("build", "publish", "pull")),
}


def main() -> int:
    """Tell the chapters asked for; exit code 1 when one does not go as promised."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--chapter", action="append", choices=list(CHAPTERS), help="only this one (repeatable)")
    parser.add_argument("--list", action="store_true", help="list the chapters")
    args = parser.parse_args()
    if args.list:
        for name, (chapter, _) in CHAPTERS.items():
            print(f"{name:<12}{chapter.__doc__}")
        return 0
    wanted = args.chapter or list(CHAPTERS)
    started = time.monotonic()
    with new_stage() as folder:
        stage = Stage(Path(folder))
        try:
            stage.title("sandbox: registry, object store and a private Sigstore, on this machine only")
            stage.start_sandbox()
            for name, (chapter, _) in CHAPTERS.items():
                if name in wanted or any(name in CHAPTERS[later][1] for later in wanted):
                    stage.quiet = name not in wanted
                    stage.title(f"{name}: {chapter.__doc__}")
                    chapter(stage)
        except (DemoFailed, subprocess.TimeoutExpired) as error:
            print(f"\n{paint('the demo failed:', 1, 31)} {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nstopped", file=sys.stderr)
            return 130
        finally:
            stage.stop_sandbox()
    print(f"\n{paint('All of it went as it should', 1, 32)}, in {time.monotonic() - started:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
