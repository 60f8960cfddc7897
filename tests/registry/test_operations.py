"""What operators see: health, readiness, metrics, one log event for each request, and start-up that refuses."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.registry.world import AGENT, World, store_settings, wait_for
from tidegate.errors import TidegateError
from tidegate.formats.jcs import parse_object
from tidegate_registry import health
from tidegate_registry.app import build_services, check_start
from tidegate_registry.migrations import SchemaDiffers
from tidegate_registry.settings import Mode, Settings
from tidegate_registry.storage.blobs import StoreUnavailable
from tidegate_registry.worker import Step, repeat

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint


@pytest.fixture
def log_lines() -> Iterator[list[dict[str, object]]]:
    """Every event the registry logs, parsed."""
    lines: list[dict[str, object]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(dict(parse_object(record.getMessage().encode(), limit=1 << 20, what="a log line")))

    logger, handler = logging.getLogger("tidegate_registry"), Keep()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_one_event_for_each_request_without_the_token(world: World, log_lines: list[dict[str, object]]) -> None:
    client = world.client()
    client.get(f"/v2/{AGENT}/manifests/1.0.0", headers={"X-Request-Id": "seen-before"})
    wait_for(lambda: [line for line in log_lines if line["event"] == "request"])
    (event,) = [line for line in log_lines if line["event"] == "request"]
    assert event | {"ms": 0, "timestamp": ""} == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "route": "/v2/{name}/manifests/{reference}",
        "status": 404,
        "ms": 0,
        "principal": "publisher@acme.example",
        "repository": AGENT,
        "request_id": "seen-before",
        "timestamp": "",
    }
    token = client.headers["authorization"].removeprefix("Bearer ")
    assert not any(token in str(line) for line in log_lines)


@pytest.mark.parametrize("given", ["a b", "x" * 65, "new\tline", "", "ü"])
def test_a_request_id_that_could_break_a_log_is_replaced(world: World, given: str) -> None:
    answer = world.client().get("/healthz", headers=[(b"x-request-id", given.encode())])
    assert answer.headers["x-request-id"] not in ("", given)


def test_health_is_open_and_ready_says_that_everything_is_there(world: World) -> None:
    nobody = world.client(None)
    assert nobody.get("/healthz").json() == {"status": "ok"}
    ready = nobody.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "checks": dict.fromkeys(("database", "store", "trust_file", "log", "signing_key"), "ok"),
    }


def test_ready_names_what_is_missing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise StoreUnavailable("the object store did not answer", found="http://10.0.0.1 is down")

    monkeypatch.setattr(world.services.blobs, "ping", away)
    answer = world.client(None).get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"
    assert answer.json()["checks"]["store"] == "store-unavailable"
    assert answer.json()["checks"]["database"] == "ok"
    assert "10.0.0.1" not in answer.text


def test_asking_often_whether_it_is_ready_loads_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    monkeypatch.setattr(world.services.blobs, "ping", lambda: tried.append(1))
    nobody = world.client(None)
    for _ in range(5):
        assert nobody.get("/readyz").json()["status"] == "ready"
    assert len(tried) == 1
    world.clock.tick(seconds=health.READY_FOR.total_seconds())
    nobody.get("/readyz")
    assert len(tried) == 2


def test_only_one_tries_what_hangs_and_the_others_are_answered_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        assert release.wait(20)

    nobody, cache = world.client(None), world.app.state.readiness
    assert nobody.get("/readyz").status_code == 200
    monkeypatch.setattr(world.services.blobs, "ping", hang)
    world.clock.tick(seconds=health.READY_FOR.total_seconds())
    first = threading.Thread(target=cache.get, args=(world.services,))
    first.start()
    assert begun.wait(20)
    assert nobody.get("/readyz").status_code == 200, "the last answer is believed for a while"
    world.clock.tick(seconds=health.BELIEVED_FOR.total_seconds())
    answer = nobody.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (503, {"readiness": "being-tried"})
    release.set()
    first.join()
    assert nobody.get("/readyz").status_code == 200


def test_metrics_count_routes_and_never_names(own_world: World) -> None:
    world, client = own_world, own_world.client()
    client.get(f"/v2/{AGENT}/tags/list")
    client.get("/v2/some/made/up/path")
    world.push_blob(client, b"12345")
    world.app.state.metrics.count("BREW", "/healthz", 200, 0.1)
    text = world.client(None).get("/metrics").text
    assert 'tidegate_requests_total{method="GET",route="/v2/{name}/tags/list",status="404"} 1.0' in text
    assert 'route="unmatched"' in text
    assert 'method="other"' in text
    assert "tidegate_uploaded_bytes_total 5.0" in text
    for name in ("acme", "made", "BREW", "publisher"):
        assert name not in text
    assert 'tidegate_request_seconds_bucket{le="0.001"' in text


class TestStart:
    """Nothing is served before what serving rests on was checked."""

    def settings(self, s3: S3Endpoint, database_url: str, folder: Path, **changes: object) -> Settings:
        key = folder / "token.pem"
        from tidegate_registry.access.token_keys import create_token_key

        create_token_key(key)
        values: dict[str, object] = {
            "mode": Mode.PRODUCTION,
            "database_url": database_url,
            "s3": store_settings(s3).model_dump(),
            "token_key_file": key,
        }
        return Settings.model_validate(values | changes)

    def test_in_production_the_schema_must_be_there(self, s3: S3Endpoint, database_url: str, tmp_path: Path) -> None:
        app = build_services(self.settings(s3, database_url, tmp_path))
        with contextlib.closing(app.db), pytest.raises(SchemaDiffers) as caught:
            check_start(app)
        assert caught.value.reasons[0].code == "schema-differs"

    def test_the_sandbox_migrates_by_itself(self, s3: S3Endpoint, database_url: str, tmp_path: Path) -> None:
        app = build_services(self.settings(s3, database_url, tmp_path, mode=Mode.SANDBOX))
        check_start(app)
        app.db.close()

    @pytest.mark.parametrize("text", ["nonsense: [", "format: other\n"])
    def test_a_broken_trust_file_stops_the_start(
        self, s3: S3Endpoint, database_url: str, tmp_path: Path, text: str
    ) -> None:
        trust = tmp_path / "trust.yaml"
        trust.write_text(text)
        app = build_services(self.settings(s3, database_url, tmp_path, mode=Mode.SANDBOX, trust_file=trust))
        with pytest.raises(TidegateError) as caught:
            check_start(app)
        assert caught.value.reasons[0].code == "trust-file-invalid"
        app.db.close()

    def test_a_store_that_is_away_stops_the_start(self, s3: S3Endpoint, database_url: str, tmp_path: Path) -> None:
        from tidegate_registry.sandbox.ports import pick_ports

        away = dataclasses.replace(s3, url=f"http://127.0.0.1:{pick_ports(1)[0]}")
        app = build_services(self.settings(away, database_url, tmp_path, mode=Mode.SANDBOX))
        with pytest.raises(StoreUnavailable) as caught:
            check_start(app)
        assert caught.value.reasons[0].code == "store-unavailable"
        app.db.close()


def test_what_is_done_periodically_goes_on_after_a_fault_of_ours(log_lines: list[dict[str, object]]) -> None:
    turns: list[int] = []

    async def run() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def sweep() -> None:
            turns.append(1)
            if len(turns) == 1:
                raise ZeroDivisionError("nobody foresaw this")
            loop.call_soon_threadsafe(stop.set)

        await repeat(Step("sweep", 0, sweep), stop, asyncio.to_thread)

    asyncio.run(run())
    assert len(turns) == 2
    (fault,) = [line for line in log_lines if line["event"] == "background.fault"]
    assert (fault["level"], fault["work"]) == ("error", "sweep")
    assert "ZeroDivisionError" in str(fault)
