"""What the benchmark says: a table with ratios against targets, the same as JSON, and a picture of it (SVG)."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.bench_cases import SMALL_BLOBS, SMALL_BYTES, Result

LARGE, SMALL = "512 MiB", f"{SMALL_BLOBS} x {SMALL_BYTES >> 10} KiB"
DOCKER = "docker-registry s3"


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach: `of(medians)` gives it, None where something was not measured."""

    title: str
    of: Callable[[Medians], float | None]
    bound: float
    at_most: bool = False
    unit: str = "x"

    def met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound


class Medians:
    """Medians by case and contender."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = {result.name: result for result in results}

    def get(self, case: str, contender: str) -> float | None:
        result = self._results.get(case)
        return result.median(contender) if result else None

    def ratio(self, over: tuple[str, str], under: tuple[str, str]) -> float | None:
        one, other = self.get(*over), self.get(*under)
        return one / other if one and other else None


def faster(case: str, ours: str, theirs: str) -> Callable[[Medians], float | None]:
    """How many times faster ours is, by seconds."""
    return lambda medians: medians.ratio((case, theirs), (case, ours))


TARGETS = (
    Target("publish of 512 MiB against docker-registry on S3 (skopeo)",
           faster(f"push {LARGE}", "tidegate", f"skopeo, {DOCKER}"), 3),
    Target("publish of 512 MiB against curl to a presigned PUT",
           faster(f"push {LARGE}", "tidegate", "curl, presigned"), 0.9),
    Target("its blobs alone against curl to a presigned PUT",
           faster(f"push {LARGE}", "blobs alone, tidegate", "curl, presigned"), 0.9),
    Target("skopeo push of 512 MiB against docker-registry on S3",
           faster(f"push {LARGE}", "skopeo, tidegate", f"skopeo, {DOCKER}"), 2),
    Target("small blobs, pushed by the same client, against docker-registry on S3",
           faster(f"push {SMALL}", "blobs alone, tidegate", f"blobs alone, {DOCKER}"), 4),
    Target("manifest GET by tag, per core, against docker-registry on files",
           lambda m: m.ratio(("GET manifest by tag", "tidegate, authorised"),
                             ("GET manifest by tag", "docker-registry files, open")), 8),
    Target("pull of 512 MiB, verified, against curl",
           faster(f"pull {LARGE}", "tidegate", "curl, presigned"), 0.9),
    Target("admissions per second, two processes on SQLite",
           lambda m: m.get("admissions", "two processes, SQLite"), 150, unit="/s"),
    Target("admissions per second, two processes on PostgreSQL",
           lambda m: m.get("admissions", "two processes, PostgreSQL"), 150, unit="/s"),
    Target("admission on SQLite, p95", lambda m: m.get("admission, p95", "two processes, SQLite"), 50, at_most=True,
           unit="ms"),
    Target("admission on PostgreSQL, p95", lambda m: m.get("admission, p95", "two processes, PostgreSQL"), 50,
           at_most=True, unit="ms"),
    Target("rollback on SQLite, p95", lambda m: m.get("rollback, p50 and p95", "SQLite, p95"), 200, at_most=True,
           unit="ms"),
    Target("rollback on PostgreSQL, p95", lambda m: m.get("rollback, p50 and p95", "PostgreSQL, p95"), 200,
           at_most=True, unit="ms"),
    Target("verify, warm", lambda m: m.get("verify, warm", "tidegate.verify of a pulled folder"), 10, at_most=True,
           unit="ms"),
    Target("verify, cold, against `import sigstore.verify`",
           lambda m: m.ratio(("start", "tidegate.verify, cold"), ("start", "import sigstore.verify")), 1.3,
           at_most=True),
    Target("tidegate --help", lambda m: m.get("start", "tidegate --help"), 0.15, at_most=True, unit="s"),
)  # fmt: skip


def judged(results: Sequence[Result]) -> list[tuple[Target, float | None]]:
    """Give each target with what was measured."""
    medians = Medians(results)
    return [(target, target.of(medians)) for target in TARGETS]


def table(results: Sequence[Result]) -> str:
    """Write the results and the targets as Markdown."""
    lines = ["| what | by | median | rounds |", "| --- | --- | ---: | ---: |"]
    for result in results:
        for contender, values in result.samples.items():
            lines.append(
                f"| {result.name} | {contender} | {result.median(contender):,.4g} {result.unit} | {len(values)} |"
            )
        lines += [f"| {result.name} | {note} | {value:,.4g} | |" for note, value in result.notes.items()]
    lines += ["", "| target | measured | wanted | |", "| --- | ---: | ---: | --- |"]
    for target, value in judged(results):
        wanted = f"{'≤' if target.at_most else '≥'} {target.bound:g} {target.unit}"
        shown = "not measured" if value is None else f"{value:.3g} {target.unit}"
        verdict = "" if value is None else "met" if target.met(value) else "**missed**"
        lines.append(f"| {target.title} | {shown} | {wanted} | {verdict} |")
    return "\n".join(lines) + "\n"


def as_json(results: Sequence[Result], machine: dict[str, object]) -> dict[str, object]:
    """Give everything that was measured."""
    return {
        "machine": machine,
        "results": [
            {"name": each.name, "unit": each.unit, "samples": each.samples, "notes": each.notes} for each in results
        ],
        "targets": [
            {"title": target.title, "bound": target.bound, "atMost": target.at_most, "unit": target.unit,
             "measured": value, "met": None if value is None else target.met(value)}
            for target, value in judged(results)
        ],
    }  # fmt: skip


ROW, LABEL, WIDTH = 34, 520, 380
MET, MISSED = "#1a7f5a", "#b4541a"
STYLE = 'font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="Figures against their targets"'


def picture(results: Sequence[Result]) -> str:
    """Draw each target as a bar, full where it is reached; a scale of its own for each, since the units differ."""
    rows = [(target, value) for target, value in judged(results) if value is not None]
    height = ROW * len(rows) + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LABEL + WIDTH + 130} {height}" {STYLE}>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        _text(LABEL, 22, "the dashed line is the target; longer is better", "fill='#555'"),
    ]
    mark = LABEL + WIDTH / 2
    for number, (target, value) in enumerate(rows):
        top, met = 36 + number * ROW, target.met(value)
        share = (target.bound / value if target.at_most else value / target.bound) if value else 0
        bar = f'width="{min(share, 2) * WIDTH / 2:.0f}" height="18" rx="3" fill="{MET if met else MISSED}"'
        parts.append(_text(LABEL - 12, top + 16, target.title[:72], "text-anchor='end'"))
        parts.append(f'<rect x="{LABEL}" y="{top + 3}" {bar}/>')
        parts.append(_text(LABEL + WIDTH + 10, top + 16, f"{value:.3g} {target.unit}{'' if met else ' (missed)'}"))
    parts.append(f'<path d="M{mark} 30V{height - 12}" stroke="#222" stroke-dasharray="3 3"/></svg>')
    return "\n".join(parts) + "\n"


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" {more}>{html.escape(text)}</text>'
