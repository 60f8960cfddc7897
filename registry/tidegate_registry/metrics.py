"""Prometheus metrics of one application. Labels are route templates and outcomes, never names, digests or callers."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"


class Metrics:
    """What is counted. Made for each application, so that several in one process do not share numbers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}  # bounded, as labels are
        self.requests = Counter(
            "tidegate_requests", "Answered requests.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "tidegate_request_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ("method", "route"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge("tidegate_requests_in_flight", "Requests being answered.", registry=self.registry)
        self.refusals = Counter("tidegate_refusals", "Refusals by code.", ("code",), registry=self.registry)
        self.log_assigned = Gauge("tidegate_log_assigned", "Entries that have an index.", registry=self.registry)
        self.log_published = Gauge(
            "tidegate_log_published", "Entries under the published checkpoint.", registry=self.registry
        )
        self.log_lag = Gauge(
            "tidegate_log_lag_seconds",
            "Age of the oldest entry that no published checkpoint covers, 0 where there is none.",
            registry=self.registry,
        )
        self.log_halted = Gauge(
            "tidegate_log_halted",
            "1 while the log does not go on, as it and the database differ.",
            registry=self.registry,
        )
        self.uploaded = Counter("tidegate_uploaded_bytes", "Bytes of blobs received.", registry=self.registry)

    def render(self) -> Response:
        """Give all metrics in the text format."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; methods outside the usual ones count as one."""
        key = (method if method in METHODS else "other", route, status)
        series = self._series.get(key)
        if series is None:  # finding a series by its labels takes longer than counting
            known, _, _ = key
            series = self.requests.labels(known, route, str(status)), self.seconds.labels(known, route)
            self._series[key] = series
        series[0].inc()
        series[1].observe(seconds)
