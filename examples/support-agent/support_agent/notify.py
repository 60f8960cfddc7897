"""Notifications to the host: sd_notify(3) without the library (agent-runtime.md, section 2)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends datagrams to NOTIFY_SOCKET, or nothing when there is none."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environment.get("WATCHDOG_USEC", "")
        self._interval = (
            int(microseconds) / 2_000_000 if mine and microseconds.isascii() and microseconds.isdigit() else 0.0
        )

    def send(self, *lines: str) -> None:
        """Send `NAME=value` lines. A host that is gone is no error of the agent."""
        if not self._address.startswith(("/", "@")):
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.sendto("\n".join(lines).encode(), address)

    async def keep_alive(self) -> None:
        """Send WATCHDOG=1 twice per interval from the event loop: if that hangs, so do these."""
        while self._interval:
            self.send("WATCHDOG=1")
            await asyncio.sleep(self._interval)
