"""The arithmetic of parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_registry.storage.parts import (
    MAX_OBJECT_BYTES,
    MAX_PARTS,
    MIN_PART_BYTES,
    direct_part_bytes,
    part_count,
    part_size,
    split,
)

SIZES = st.integers(0, MAX_OBJECT_BYTES)


@given(SIZES)
def test_parts_of_any_blob_are_as_many_and_as_large_as_s3_takes(size: int) -> None:
    part_bytes = direct_part_bytes(size)
    count = part_count(size, part_bytes)
    assert 1 <= count <= MAX_PARTS
    assert part_bytes >= MIN_PART_BYTES
    assert (count - 1) * part_bytes + part_size(count, size, part_bytes) == size
    assert all(part_size(number, size, part_bytes) == part_bytes for number in range(1, min(count, 20)))


@given(SIZES, st.integers(1, 1 << 30))
def test_full_parts_and_a_tail_are_the_whole(size: int, part_bytes: int) -> None:
    full, tail = split(size, part_bytes)
    assert full * part_bytes + tail == size
    assert tail < part_bytes


@pytest.mark.parametrize("number", [0, -1, 4])
def test_there_is_no_part_beyond_the_last(number: int) -> None:
    with pytest.raises(ValueError, match="no part"):
        part_size(number, 25, 10)
