"""The embedded object store: it answers, checks what it is given, and is gone when it should be."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import boto3
import httpx2
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tidegate.errors import Unreachable
from tidegate_registry.sandbox import s3 as store
from tidegate_registry.sandbox.ports import GRPC_OFFSET, HIGHEST, LOWEST, PortTaken, is_free, pick_ports
from tidegate_registry.sandbox.s3 import S3Endpoint, S3Ports, StoreMissing, Weed, find_weed


def test_the_store_keeps_what_its_digest_says_once(s3: S3Endpoint) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=s3.url,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name=s3.region,
        config=Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"}),
    )
    digest = base64.b64encode(hashlib.sha256(b"bytes").digest()).decode()

    def put(body: bytes) -> None:
        client.put_object(Bucket=s3.bucket, Key="test-s3/once", Body=body, ChecksumSHA256=digest, IfNoneMatch="*")

    with pytest.raises(ClientError) as wrong:
        put(b"other")
    assert wrong.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    put(b"bytes")
    with pytest.raises(ClientError) as again:
        put(b"bytes")
    assert again.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert client.get_object(Bucket=s3.bucket, Key="test-s3/once")["Body"].read() == b"bytes"
    client.close()


def test_nobody_else_reads_or_writes(s3: S3Endpoint) -> None:
    with httpx2.Client(base_url=s3.url, trust_env=False) as http:
        assert http.get(f"/{s3.bucket}").status_code == 403
        assert http.put(f"/{s3.bucket}/test-s3/anonymous", content=b"x").status_code == 403


def test_ports_are_free_with_their_grpc_twins_and_below_the_ephemeral_range() -> None:
    ports = pick_ports(7)
    assert len(set(ports)) == 7
    assert all(LOWEST <= port < HIGHEST and port + GRPC_OFFSET < 32_768 for port in ports)
    assert not set(S3Ports.pick(avoid=frozenset(ports)).numbers()) & set(ports)
    assert len(S3Ports.pick().numbers()) == len(fields(S3Ports))


@pytest.mark.parametrize("offset", [0, GRPC_OFFSET])
def test_a_taken_port_is_named(tmp_path: Path, offset: int) -> None:
    ports = S3Ports.pick()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the probe that found it free
        other.bind(("127.0.0.1", ports.filer + offset))
        other.listen()
        assert not is_free(ports.filer + offset)
        weed = Weed(tmp_path, ports)
        with pytest.raises(PortTaken, match=str(ports.filer + offset)) as refused:
            weed.start()
        assert refused.value.reasons[0].code == "port-taken"
        assert weed.pid is None
        weed.stop()


def test_a_missing_wheel_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def not_installed(_: str) -> None:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(importlib.metadata, "files", not_installed)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(StoreMissing) as refused:
        find_weed()
    assert refused.value.reasons[0].code == "sandbox-wheel-missing"
    assert "tidegate-registry[sandbox]" in str(refused.value.hint)


def test_the_program_is_found_in_the_wheel_and_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    beside = find_weed()
    assert beside.parent == Path(sys.executable).parent
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_weed().samefile(beside)
    monkeypatch.setattr(importlib.metadata, "files", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/{name}")
    assert find_weed() == Path("/somewhere/weed")


def test_a_store_that_ends_while_starting_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "weed"
    program.write_text("#!/bin/sh\necho the disk is on fire\n")
    program.chmod(0o700)
    monkeypatch.setattr(store, "find_weed", lambda: program)
    weed = Weed(tmp_path / "data")
    weed.start()
    with pytest.raises(Unreachable) as refused:
        weed.wait_ready()
    assert refused.value.reasons[0].code == "unreachable"
    assert refused.value.reasons[0].found == "the disk is on fire"
    weed.stop()


def test_a_store_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "weed"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    monkeypatch.setattr(store, "find_weed", lambda: program)
    weed = Weed(tmp_path / "data")
    weed.start()
    with pytest.raises(Unreachable, match="did not start") as refused:
        weed.wait_ready(seconds=0)
    assert refused.value.reasons[0].code == "unreachable"
    weed.stop()


@pytest.mark.slow
def test_a_store_leaves_no_socket_behind(tmp_path: Path) -> None:
    for seconds in (3.0, 0.0):
        weed = Weed(tmp_path)
        weed.start()
        weed.wait_ready()
        assert sockets_of(weed)
        weed.stop(seconds)
        assert not sockets_of(weed)


def sockets_of(weed: Weed) -> list[Path]:
    ports = weed.ports.listened()
    return [path for port in ports for path in store.SOCKET_FOLDER.glob(f"seaweedfs-*-{port}.sock")]


PARENT = """
import os, signal, sys
from pathlib import Path
from tidegate_registry.sandbox.s3 import Weed
weed = Weed(Path(sys.argv[1]))
weed.start()
weed.wait_ready()
print(weed.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_the_store_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    wait_until_gone(int(done.stdout))


def wait_until_gone(pid: int) -> None:
    """Wait for a process that is nobody's child here."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    ended, _, _ = select.select([descriptor], [], [], 20)
    os.close(descriptor)
    assert ended, f"process {pid} still runs"
