"""The case of promotions: how long the call takes that opens, decides and carries out, and how long one back does."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Iterator
from http import HTTPStatus

from scripts.bench_cases import Lane, Result, name_all, prepared
from scripts.bench_stage import Bench, Server
from scripts.demo_stage import BIN, DemoFailed

RELEASES = 40  # of each round; a rollback goes back to each but the last, as far as the charter's window reaches
WINDOW = 3  # docs/spec/charter.md, `rollbackWindow`
MEDIAN, P95 = 9, 18  # of the nineteen points that cut into twenty


def promotions(bench: Bench, rounds: int) -> Iterator[Result]:
    """Promote fresh releases to `dev` one after the other, and roll back from some of them."""
    promote, back = Result("promotion, p50 and p95", "ms"), Result("rollback, p50 and p95", "ms")
    for kind, (server, _) in bench.pairs.items():
        settings = bench.folder / "bench" / f"{server.name}.yaml"
        policy = bench.stage.sandbox_dir / "policy.yaml"
        bench.run(BIN / "tidegate-registry", "policy", "install", policy, "--config", settings)
        for number in range(rounds):
            agent = f"bench-promote-{number}"
            lane = Lane(server, f"acme/{agent}", prepared(bench, server, agent, RELEASES, channels=("dev",)))
            name_all(bench, [lane])
            moved, returned = _move(bench, server, lane)
            for result, times in ((promote, moved), (back, returned)):
                points = statistics.quantiles(times, n=20)
                result.add(f"{kind}, p50", points[MEDIAN] * 1000)
                result.add(f"{kind}, p95", points[P95] * 1000)
    yield promote
    yield back


def _move(bench: Bench, server: Server, lane: Lane) -> tuple[list[float], list[float]]:
    """Give the seconds of each promotion, and of each rollback, which every third promotion is followed by."""
    moved, returned = list[float](), list[float]()
    connection = http.client.HTTPConnection(server.host, timeout=60)
    token = bench.registry_token(lane.repository, "pull,promote", server=server)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(path: str, document: dict[str, str]) -> float:
        begun = time.perf_counter()
        connection.request("POST", f"/api/v1{path}", json.dumps(document), headers)
        answer = connection.getresponse()
        said = answer.read()
        seconds = time.perf_counter() - begun
        if answer.status != HTTPStatus.CREATED or b'"state":"done"' not in said:
            raise DemoFailed(f"{path}: {answer.status} {said[:1000]!r}")
        return seconds

    for number, (version, _) in enumerate(lane.manifests, 1):
        document = {"agent": lane.repository, "version": version, "channel": "dev"}
        moved.append(post("/promotions", document))
        if number % WINDOW == 0:
            returned.append(post(f"/agents/{lane.repository}/channels/dev/rollback", {"reason": "to measure it"}))
    connection.close()
    return moved, returned
