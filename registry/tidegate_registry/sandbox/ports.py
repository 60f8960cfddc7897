"""Loopback ports: free ones, checked ones, and the one clear line when one is taken."""

from __future__ import annotations

import random
import socket

from tidegate.errors import Conflict

HOST = "127.0.0.1"
LOOPBACK = (HOST, "localhost")
PROXY_EXCEPTIONS = ("NO_PROXY", "no_proxy")  # libraries read the one or the other
GRPC_OFFSET = 10_000  # SeaweedFS listens for gRPC on each HTTP port + 10000
# below 32768, where Linux hands out ephemeral ports, so that no outgoing connection sits on a port we come back to
LOWEST, HIGHEST = 20_000, 22_700
MAX_TRIES = 400
BACKLOG = 128


class PortTaken(Conflict):
    """Another process listens where we must."""

    code = "port-taken"


def port_taken(port: int, purpose: str) -> PortTaken:
    flag = {"registry": "choose another with --port N, ", "Sigstore": "choose another with --sigstore-port N, "}
    return PortTaken(
        f"port {port} on {HOST}, which the sandbox needs for its {purpose}, is taken",
        hint=f"stop the process that listens there, {flag.get(purpose, '')}"
        "or start on a new folder with --dir (it gets other ports)",
    )


def is_free(port: int) -> bool:
    """Whether we could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def pick_ports(count: int, avoid: frozenset[int] = frozenset()) -> list[int]:
    """Give `count` free ports whose gRPC twins (+10000) are free too. Raises Conflict when the range is used up."""
    found: list[int] = []
    candidates = random.Random().sample(range(LOWEST, HIGHEST), MAX_TRIES)  # noqa: S311 - spread, not secrecy
    for port in candidates:
        if port not in avoid and is_free(port) and is_free(port + GRPC_OFFSET):
            found.append(port)
            if len(found) == count:
                return found
    raise Conflict(f"no {count} free ports between {LOWEST} and {HIGHEST} on {HOST}", code="port-taken")


def bind(port: int = 0, purpose: str = "Sigstore") -> socket.socket:
    """Listen on a loopback port; 0 takes any free one. Raises PortTaken."""
    # named protocol: asyncio sets TCP_NODELAY only on sockets that say they are TCP (40 ms a request otherwise)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise port_taken(port, purpose) from error
    return listener


def address(listener: socket.socket) -> str:
    """Give the listener's `host:port`."""
    host, port = listener.getsockname()[:2]
    return f"{host}:{port}"
