"""The process a host starts: listen, serve tasks, drain on SIGTERM (agent-runtime.md, sections 2, 4 and 5)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support_agent.documents import JsonObject, encode_line
from support_agent.loop import Agent
from support_agent.notify import Notifier
from support_agent.protocol import MAX_LINE_BYTES, BadLine, Task, parse_message

CONCURRENCY = 4  # the model is a script: more threads than cores gain nothing


class Server:
    """Serves one agent on one socket until SIGTERM."""

    def __init__(self, agent: Agent, hello: JsonObject, path: Path, notifier: Notifier) -> None:
        """Take `hello` without `concurrency`, which is this server's to say."""
        self._agent = agent
        self._hello = encode_line(hello | {"concurrency": CONCURRENCY})
        self._path = path
        self._notifier = notifier
        self._draining = asyncio.Event()
        self._in_work: dict[str, str] = {}  # task id -> session
        self._work: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="task")

    async def run(self) -> None:
        """Serve until SIGTERM, then finish what is in work."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._draining.set)
        listener = await asyncio.start_unix_server(self._serve, sock=_listen(self._path), limit=MAX_LINE_BYTES - 1)
        watchdog = asyncio.create_task(self._notifier.keep_alive())
        self._notifier.send("READY=1")
        await self._draining.wait()
        listener.close()
        self._path.unlink(missing_ok=True)
        self._notifier.send("STOPPING=1")
        while self._work:
            await asyncio.gather(*self._work)
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        watchdog.cancel()
        self._threads.shutdown()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        this = asyncio.current_task()
        assert this is not None  # noqa: S101 - a stream callback always runs in a task
        self._connections.add(this)
        taken: set[asyncio.Task[None]] = set()
        try:
            await _send(writer, self._hello)
            while line := await _read_line(reader):
                try:
                    task = parse_message(line)
                    if task is None:
                        await _send(writer, encode_line({"type": "pong", "running": len(self._in_work)}))
                        continue
                    work = self._take(task, writer)
                except BadLine as error:
                    await _send(writer, encode_line(error.as_message()))
                    continue
                taken.add(work)
                work.add_done_callback(taken.discard)
            if taken:
                await asyncio.gather(*taken)
        except BadLine as error:  # the line was too long: where the next one starts is unknown
            await _send(writer, encode_line(error.as_message()))
        finally:
            self._connections.discard(this)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _take(self, task: Task, writer: asyncio.StreamWriter) -> asyncio.Task[None]:
        """Start work on `task`. Raises BadLine when it cannot be taken."""
        if self._draining.is_set():
            raise BadLine("draining", "this process takes no new task", task.id)
        if task.id in self._in_work:
            raise BadLine("duplicate-id", "a task with this id is in work", task.id)
        if task.session in self._in_work.values():
            raise BadLine("busy", "a task of this session is in work", task.id)
        if len(self._in_work) >= CONCURRENCY:
            raise BadLine("busy", f"{CONCURRENCY} tasks are in work", task.id)
        self._in_work[task.id] = task.session
        work = asyncio.create_task(self._work_on(task, writer))
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        return work

    async def _work_on(self, task: Task, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(self._threads, self._run, task)
        finally:
            del self._in_work[task.id]  # before the answer: the session's next task may follow at once
        await _send(writer, result)

    def _run(self, task: Task) -> bytes:
        try:
            return encode_line(self._agent.run(task.session, task.text, shadow=task.shadow).as_message(task.id))
        except Exception:  # noqa: BLE001 - the process outlives a task; the trace is in the log, not in the answer
            traceback.print_exc(file=sys.stderr)
            return encode_line(BadLine("internal", "the agent failed on this task; see its log", task.id).as_message())


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # left from a process that died
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Give the next line, or nothing at the end of input. Raises BadLine when it is too long."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise BadLine("line-too-long", f"a line has at most {MAX_LINE_BYTES} bytes") from None
    except asyncio.IncompleteReadError as error:
        return error.partial  # a last line without its newline is still judged; then the input ends
    except OSError:
        return b""


async def _send(writer: asyncio.StreamWriter, line: bytes) -> None:
    with contextlib.suppress(OSError):  # the peer is gone: its results are dropped
        writer.write(line)
        await writer.drain()
