"""The curve of a growing log: what each figure is at each size, as a picture (SVG)."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Milestone:
    """A log of `entries`: µs to append one and to integrate one, MiB of memory, s to verify all, ms to prove one.

    `verify_work`: processor time of it, which other work on the machine does not stretch.
    """

    entries: int
    append: float
    integrate: float
    memory: float
    verify: float
    verify_work: float
    proof: float

    def line(self) -> str:
        """Say it in one line."""
        return (
            f"{self.entries:>10,} entries: append {self.append:.0f} µs, integrate {self.integrate:.1f} µs, "
            f"memory {self.memory:.0f} MiB, verify {self.verify:.2f} s ({self.verify_work:.2f} s of work), "
            f"proof {self.proof:.2f} ms"
        )

    def as_json(self) -> dict[str, float]:
        """Give the figures by name and unit."""
        return {
            "entries": self.entries,
            "append, µs": self.append,
            "integrate, µs an entry": self.integrate,
            "memory, MiB": self.memory,
            "log verify, s": self.verify,
            "log verify, s of processor time": self.verify_work,
            "a proof, cold, ms": self.proof,
        }


MILLION = 1_000_000
CHARTS: tuple[tuple[str, Callable[[Milestone], float]], ...] = (
    ("append, µs of processor time", lambda each: each.append),
    ("integrate, µs an entry", lambda each: each.integrate),
    ("the integrator's memory, MiB", lambda each: each.memory),
    ("log verify, s for a million entries", lambda each: each.verify * MILLION / each.entries),
    ("a proof from cold files, ms", lambda each: each.proof),
)
WIDTH, HEIGHT, LEFT, TOP = 300, 120, 60, 46
STYLE = 'font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="Cost of an entry as the log grows"'


def picture(found: Sequence[Milestone]) -> str:
    """Draw each figure over the size of the log, from zero, so that what is flat looks flat."""
    columns, rows = 2, math.ceil(len(CHARTS) / 2)
    wide, high = WIDTH + LEFT + 40, HEIGHT + TOP + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * wide} {rows * high}" {STYLE}>',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for number, (title, value) in enumerate(CHARTS):
        left, top = (number % columns) * wide + LEFT, (number // columns) * high + TOP
        parts += _chart(title, [(each.entries, value(each)) for each in found], left, top)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _chart(title: str, points: Sequence[tuple[int, float]], left: int, top: int) -> list[str]:
    most = max(value for _, value in points) * 1.25 or 1.0
    first, last = (math.log10(points[place][0]) for place in (0, -1))

    def place(entries: int, value: float) -> tuple[float, float]:
        along = (math.log10(entries) - first) / (last - first) if last > first else 0.5
        return left + along * WIDTH, top + HEIGHT * (1 - value / most)

    placed = [(*place(entries, value), entries, value) for entries, value in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in placed)
    parts = [
        f'<text x="{left}" y="{top - 18}" font-weight="600">{html.escape(title)}</text>',
        f'<path d="M{left} {top}V{top + HEIGHT}H{left + WIDTH}" fill="none" stroke="#999"/>',
        f'<polyline points="{line}" fill="none" stroke="#1a5fb4" stroke-width="2"/>',
    ]
    for x, y, entries, value in placed:
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#1a5fb4"/>',
            f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{value:.3g}</text>',
            f'<text x="{x:.1f}" y="{top + HEIGHT + 18}" text-anchor="middle" fill="#555">{_short(entries)}</text>',
        ]
    return parts


def _short(entries: int) -> str:
    return f"{entries // MILLION}M" if entries >= MILLION else f"{entries // 1000}k"
