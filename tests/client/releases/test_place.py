from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tidegate.errors import Conflict, InvalidInput, ReferenceInvalid
from tidegate.formats.reference import Reference
from tidegate.releases import place
from tidegate.releases.locate import demand_version_or_digest, find_layout, parse_release
from tidegate.releases.offline import NetworkUsed, no_network
from tidegate.releases.place import replacing


def pulled(folder: Path, content: str) -> None:
    (folder / "layout").mkdir(parents=True)
    (folder / "layout" / "oci-layout").write_text(content)


def write(dest: Path, content: str) -> None:
    with replacing(dest) as staging:
        pulled(staging, content)


def fail_halfway(dest: Path, error: type[BaseException]) -> None:
    with replacing(dest) as staging:
        pulled(staging, "two")
        raise error


def left(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture(params=["exchange", "two renames"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to put a folder in the place of another: with and without help of the system."""
    if request.param == "two renames":
        monkeypatch.setattr(place, "_exchange", lambda _one, _other: False)
    return str(request.param)


def test_a_folder_appears_complete(tmp_path: Path) -> None:
    dest = tmp_path / "new" / "agent"
    write(dest, "one")
    assert (dest / "layout" / "oci-layout").read_text() == "one"
    assert dest.stat().st_mode & 0o777 == 0o755
    assert left(dest.parent) == ["agent"]


def test_a_pulled_folder_is_replaced_all_at_once(tmp_path: Path, how: str) -> None:
    write(tmp_path / "agent", "one")
    write(tmp_path / "agent", "two")
    assert (tmp_path / "agent" / "layout" / "oci-layout").read_text() == "two"
    assert left(tmp_path) == ["agent"], how


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_a_failure_the_older_folder_stays_and_nothing_new_is_left(
    tmp_path: Path, error: type[BaseException]
) -> None:
    write(tmp_path / "agent", "one")
    for dest in (tmp_path / "agent", tmp_path / "a" / "b" / "c"):
        with pytest.raises(error):
            fail_halfway(dest, error)
    assert (tmp_path / "agent" / "layout" / "oci-layout").read_text() == "one"
    assert left(tmp_path) == ["agent"]


def test_a_failing_second_rename_brings_the_older_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "agent", "one")
    monkeypatch.setattr(place, "_exchange", lambda _one, _other: False)
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if not self.name.endswith(".old") and not str(target).endswith(".old"):
            raise OSError("no")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="no"):
        write(tmp_path / "agent", "two")
    assert (tmp_path / "agent" / "layout" / "oci-layout").read_text() == "one"
    assert left(tmp_path) == ["agent"]


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    pulled(tmp_path / "mixed", "one")
    (tmp_path / "mixed" / "notes.txt").write_text("mine")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "file").write_text("mine")
    (tmp_path / "file").write_text("mine")
    pulled(tmp_path / "real", "one")
    (tmp_path / "link").symlink_to("real")
    for name in ("mixed", "home", "file", "link"):
        with pytest.raises(Conflict) as caught:
            write(tmp_path / name, "two")
        assert caught.value.reasons[0].code == "destination-exists"
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "two")


def test_offline_means_no_socket_in_any_thread() -> None:
    errors: list[BaseException] = []

    def use() -> None:
        try:
            socket.create_connection(("127.0.0.1", 9))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test looks at it
            errors.append(error)

    with no_network():
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        with pytest.raises(NetworkUsed):
            socket.getaddrinfo("localhost", 80)
    use()
    assert isinstance(errors[0], NetworkUsed)
    assert isinstance(errors[1], ConnectionRefusedError)


def test_offline_holds_without_help_of_the_tests() -> None:
    code = (
        "import socket\nfrom tidegate.releases.offline import no_network, NetworkUsed\n"
        "with no_network():\n try: socket.socket()\n except NetworkUsed: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_a_layout_is_found_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulled(tmp_path / "agent", "one")
    monkeypatch.chdir(tmp_path)
    assert find_layout("agent") == Path("agent/layout")
    assert find_layout(str(tmp_path / "agent" / "layout")) == tmp_path / "agent" / "layout"
    assert find_layout("acme/agent:1.0.0") is None
    for text in ("./absent", "/absent", ".", Path("absent")):
        with pytest.raises(InvalidInput) as caught:
            find_layout(text)
        assert caught.value.reasons[0].code == "layout-missing"


@pytest.mark.parametrize("tag", ["stable", "canary", "latest", "my-branch", "20261121"])
def test_a_channel_is_no_release_and_the_hint_says_so(tag: str) -> None:
    with pytest.raises(ReferenceInvalid) as caught:
        parse_release(f"127.0.0.1:5000/acme/agent:{tag}")
    assert caught.value.reasons[0].code == "reference-channel"


def test_a_misspelt_version_keeps_its_own_hint() -> None:
    with pytest.raises(ReferenceInvalid) as caught:
        parse_release("acme/agent:v1.2")
    assert caught.value.hint == "write 1.2.0"


def test_an_agent_alone_is_not_a_release() -> None:
    with pytest.raises(ReferenceInvalid) as caught:
        demand_version_or_digest(parse_release("acme/agent"))
    assert caught.value.reasons[0].code == "reference-incomplete"
    assert demand_version_or_digest(Reference("acme/agent", version="1.0.0")).version == "1.0.0"
