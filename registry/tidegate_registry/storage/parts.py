"""The arithmetic of uploads in parts. Pure. Source: Amazon S3 user guide, "Multipart upload limits"."""

from __future__ import annotations

MIN_PART_BYTES = 5 << 20  # S3: each part but the last
MAX_PARTS = 10_000  # S3
MAX_SINGLE_PUT_BYTES = 5 << 30  # S3: largest object of one PUT, and of one CopyObject on AWS
MAX_OBJECT_BYTES = 5 << 40  # S3: what AWS stored until 2025; nobody sends an agent more
DIRECT_PART_BYTES = 64 << 20  # what clients send straight to the store: few requests, and little to send again
STREAM_PART_BYTES = 6 << 20  # two of these are in memory for each PATCH: one on its way, one filling
ROUND = 1 << 20


def direct_part_bytes(size: int, least: int = DIRECT_PART_BYTES) -> int:
    """Choose the size of parts for a blob of `size` bytes: `least`, or whole MiB so that MAX_PARTS suffice."""
    needed = -(-size // MAX_PARTS)
    return max(least, -(-needed // ROUND) * ROUND)


def part_count(size: int, part_bytes: int) -> int:
    """How many parts `size` bytes have; an empty object has one, which is empty."""
    return max(1, -(-size // part_bytes))


def part_size(number: int, size: int, part_bytes: int) -> int:
    """How many bytes part `number` (from 1) of `size` bytes has. Raises ValueError for one there is not."""
    if not 1 <= number <= part_count(size, part_bytes):
        raise ValueError(f"there is no part {number}")
    return min(part_bytes, size - (number - 1) * part_bytes)


def split(size: int, part_bytes: int) -> tuple[int, int]:
    """Say how many full parts the first `size` bytes are, and how many bytes are left over for the tail."""
    return divmod(size, part_bytes)
