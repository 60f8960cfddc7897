"""A checkpoint's text has one form: anything else is none."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import CheckpointInvalid
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.text import MAX_SIZE

# the example of C2SP tlog-checkpoint
EXAMPLE = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
LINES = EXAMPLE.decode().splitlines()


def test_the_example_of_the_specification_is_read() -> None:
    found = Checkpoint.parse(EXAMPLE)
    assert (found.origin, found.size, found.extensions) == ("example.com/behind-the-sofa", 20_852_163, ())
    assert base64.b64encode(found.root).decode() == LINES[2]
    assert found.text == EXAMPLE


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60),
    st.integers(0, MAX_SIZE),
    st.binary(min_size=32, max_size=32),
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), max_size=3),
)
def test_what_is_written_is_read_again(origin: str, size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    assert Checkpoint.parse(checkpoint.text) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"a\n1\n",
        EXAMPLE[:-1],
        EXAMPLE + b"\n",
        EXAMPLE + b"\nextension\n",
        b"\n" + EXAMPLE,
        EXAMPLE.replace(b"example", b"\xff"),
        *(
            EXAMPLE.replace(b"20852163", number)
            for number in (
                b"",
                b"-1",
                b"+1",
                b"01",
                b"1_0",
                b" 1",
                b"1.0",
                b"0x1",
                b"\xd9\xa1",
                b"9223372036854775808",
            )
        ),
        EXAMPLE.replace(b"q2I=", b"q2I"),
        EXAMPLE.replace(b"q2I=", b"q2J="),
        EXAMPLE.replace(b"q2I=", b"q2I=="),
        EXAMPLE.replace(b"/Xajj", b"_Xajj"),
        EXAMPLE.replace(b"CsUY", b""),
        EXAMPLE.replace(b"CsUY", b"AAAACsUY"),
        b"o" * 256 + b"\n0\n" + LINES[2].encode() + b"\n",
    ],
)
def test_another_text_is_no_checkpoint(text: bytes) -> None:
    with pytest.raises(CheckpointInvalid) as caught:
        Checkpoint.parse(text)
    assert (caught.value.reasons[0].code, caught.value.reasons[0].step) == ("checkpoint-malformed", "L5")
