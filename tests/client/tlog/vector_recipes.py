"""What the vectors in tests/vectors/log are made of; every key is made of a fixed seed, so they are always the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from tests.client.tlog.logs import NOW, ORIGIN, checkpoint_of, entry, files_of, log_signer, signed, witness
from tests.client.tlog.test_note import NEUMANN, NEUMANN_KEY
from tidegate.errors import LogRefused
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.edge import Edge
from tidegate.tlog.merkle import EMPTY_ROOT, leaf_hash, verify_consistency, verify_inclusion
from tidegate.tlog.note import Note, VerifierKey, sign_note, verify_note
from tidegate.tlog.opened import open_checkpoint
from tidegate.tlog.policy import LogPolicy
from tidegate.tlog.proof import LogProof, verify_proof
from tidegate.tlog.reader import TileReader
from tidegate.tlog.text import format_base64, parse_base64
from tidegate.tlog.tiles import parse_tile_path

FOLDER: Final = Path(__file__).parents[2] / "vectors" / "log"
Given = dict[str, object]
Case = dict[str, object]
SIZE, INDEX = 1000, 123
LARGE = 70_000  # the example of C2SP tlog-tiles
POLICY = (
    f"log {log_signer().key}\n"
    + "".join(f"witness w{number} {witness(number).key}\n" for number in (1, 2, 3))
    + "group two 2 w1 w2 w3\nquorum two\n"
)
NO_WITNESS = f"log {log_signer().key}\nquorum none\n"


def case(name: str, expected: str, reason: str, **given: object) -> Case:
    return {"name": name, "reason": reason, "expected": expected, "given": given}


def outcome(run: Callable[[Given], object], given: Given) -> str:
    """Say what comes of a case, in the words of `expected`."""
    try:
        run(given)
    except LogRefused as error:
        return f"{error.reasons[0].step} {error.reasons[0].code}"
    return "verified"


def _checkpoints() -> Iterator[Case]:
    both = [witness(1), witness(2)]
    good = signed(SIZE, witnesses=both)
    text = checkpoint_of(SIZE).text

    def of(name: str, expected: str, reason: str, note: bytes, policy: str = POLICY) -> Case:
        return case(name, expected, reason, note=note.decode(), policy=policy, now=NOW.isoformat())

    yield of("cosigned", "verified", "the log and two of three witnesses signed", good)
    yield of("alone", "verified", "the policy asks for no witness", signed(SIZE), NO_WITNESS)
    yield of("unknown-lines", "verified", "lines of keys nobody knows", signed(SIZE, witnesses=[*both, witness(9)]))
    yield of(
        "extension", "verified", "further lines of the text are ignored", _signed(replace(_head(), extensions=("x y",)))
    )
    yield of("empty", "verified", "a log without entries", _signed(Checkpoint(ORIGIN, 0, EMPTY_ROOT)))
    yield of("control", "L2 note-malformed", "a tab in the text", good.replace(b"\n1000\n", b"\n1000\t\n"))
    yield of("no-padding", "L2 note-malformed", "base64 without its padding", good.rstrip(b"=\n") + b"\n")
    yield of("cut", "L2 note-malformed", "no newline at the end", good[:-1])
    yield of(
        "changed", "L3 note-signature-invalid", "another size than was signed", good.replace(b"\n1000\n", b"\n1001\n")
    )
    other = _lines(signed(999, witnesses=[witness(3)]))[1]
    yield of("moved-cosignature", "L3 note-signature-invalid", "a witness's line from another checkpoint", good + other)
    yield of("unsigned", "L4 note-unsigned", "nobody known signed", sign_note(text, [log_signer(seed=7)]))
    yield of(
        "no-checkpoint", "L5 checkpoint-malformed", "the log signed another text", sign_note(b"hello\n", [log_signer()])
    )
    zeros = text.replace(b"1000", b"01000")
    yield of("leading-zero", "L5 checkpoint-malformed", "the size has a leading zero", sign_note(zeros, [log_signer()]))
    yield of("witnesses-alone", "L6 checkpoint-unsigned", "the log did not sign", sign_note(text, both))
    elsewhere = replace(_head(), origin="log.example/other")
    yield of("other-origin", "L6 checkpoint-unsigned", "the key signed for another log", _signed(elsewhere))
    yield of(
        "empty-root", "L7 checkpoint-root", "entries, and the root of none", _signed(replace(_head(), root=EMPTY_ROOT))
    )
    late = witness(1, NOW + timedelta(minutes=6))
    yield of("future", "L8 cosignature-future", "six minutes ahead", signed(SIZE, witnesses=[late, witness(2)]))
    yield of(
        "one-witness", "L9 witnesses-missing", "one of three, two are needed", signed(SIZE, witnesses=[witness(1)])
    )
    again = witness(1, NOW - timedelta(hours=1))
    yield of("twice", "L9 witnesses-missing", "one witness, twice", signed(SIZE, witnesses=[witness(1), again]))


def _proofs() -> Iterator[Case]:
    path = TileReader(files_of(SIZE).get, checkpoint_of(SIZE)).inclusion(INDEX)
    good = LogProof(INDEX, tuple(path), signed(SIZE, witnesses=[witness(1), witness(2)]))

    def of(name: str, expected: str, reason: str, proof: bytes, content: bytes = entry(INDEX)) -> Case:
        given = {"proof": proof.decode(), "entry": content.decode(), "policy": POLICY, "now": NOW.isoformat()}
        return case(name, expected, reason, **given)

    yield of("included", "verified", "entry 123 of 1000", good.raw)
    yield of("extra", "verified", "with the entry sent along", replace(good, extra=entry(INDEX)).raw)
    yield of(
        "extra-behind",
        "L11 proof-malformed",
        "`extra` behind `index`",
        good.raw.replace(b"index 123", b"index 123\nextra AA=="),
    )
    yield of("other-version", "L11 proof-malformed", "a version nobody knows", good.raw.replace(b"@v1", b"@v2"))
    yield of(
        "without-witness", "L9 witnesses-missing", "the quorum is not there", replace(good, checkpoint=signed(SIZE)).raw
    )
    yield of("outside", "L17 proof-outside-tree", "entry 1000 of 1000", replace(good, index=SIZE).raw)
    yield of("short", "L18 proof-length", "a hash is missing", replace(good, hashes=good.hashes[1:]).raw)
    yield of("other-entry", "L19 proof-wrong", "the proof is of another entry", good.raw, b"entry 124")
    yield of("other-index", "L19 proof-wrong", "the entry is at another place", replace(good, index=122).raw)


def _inclusion() -> Iterator[Case]:
    reader = TileReader(files_of(LARGE).get, checkpoint_of(LARGE))
    for index in (0, 12_345, 69_888, LARGE - 1):
        yield _included(f"entry-{index}", "verified", "of 70,000", index, reader.inclusion(index))
    path = reader.inclusion(12_345)
    yield _included(
        "swapped", "L19 proof-wrong", "two hashes in the other order", 12_345, [path[1], path[0], *path[2:]]
    )
    yield _included("longer", "L18 proof-length", "a hash more", 12_345, [*path, EMPTY_ROOT])
    yield _included("beyond", "L17 proof-outside-tree", "an index of the tree's size", LARGE, path)


def _consistency() -> Iterator[Case]:
    reader = TileReader(files_of(LARGE).get, checkpoint_of(LARGE))
    for old in (0, 1, 255, 256, 65_536, 69_999, LARGE):
        yield _grown(f"from-{old}", "verified", "to 70,000", old, reader)
    path = reader.consistency(300)
    yield _grown(
        "other-old-root", "L22 consistency-fork", "the older root is another", 300, reader, old_root=EMPTY_ROOT
    )
    yield _grown("other-root", "L23 consistency-fork", "the newer root is another", 300, reader, root=EMPTY_ROOT)
    yield _grown("equal-sizes", "L22 consistency-fork", "one size, two roots", LARGE, reader, old_root=EMPTY_ROOT)
    yield _grown("from-nothing", "L22 consistency-fork", "an empty tree with a root", 0, reader, old_root=bytes(32))
    yield _grown("shorter", "L21 proof-length", "a hash is missing", 300, reader, proof=path[:-1])
    yield _grown("shrunk", "L20 proof-outside-tree", "the newer tree is smaller", LARGE, reader, size=300, proof=[])


def _paths() -> Iterator[Case]:
    for path in ("tile/0/000", "tile/0/x001/x234/067", "tile/entries/273.p/112", "tile/7/000.p/1"):
        yield case(path, "verified", "as C2SP tlog-tiles writes it", path=path)
    for path, reason in {
        "tile/0/x000/001": "a first group of zeros",
        "tile/00/000": "a level with a leading zero",
        "tile/8/000": "no tree below 2^63 has that level",
        "tile/0/000.p/256": "a full tile is not partial",
        "tile/0/000.p/0": "an empty tile is none",
        "tile/0/1": "not three digits",
        "tile/0/x001/x234/x067": "an x before the last group",
        "tile/0/../000": "a way out",
    }.items():
        yield case(path, "L12 tile-path", reason, path=path)


def _tree() -> Iterator[Case]:
    for size in (0, 1, 256, LARGE):
        files = {path: hashlib.sha256(raw).hexdigest() for path, raw in sorted(files_of(size).items())}
        shown = {path: digest for path, digest in files.items() if ".p/" in path or path.endswith("/000")}
        given = {"size": size, "root": format_base64(checkpoint_of(size).root), "count": len(files), "files": shown}
        yield case(f"size-{size}", "verified", "partial files and the first full ones", **given)


def _notes() -> Iterator[Case]:
    yield case("neumann", "verified", "the example of Go's sumdb/note", note=NEUMANN.decode(), keys=[NEUMANN_KEY])
    changed = NEUMANN.replace(b"answer", b"key")
    yield case(
        "neumann-changed", "L3 note-signature-invalid", "another text", note=changed.decode(), keys=[NEUMANN_KEY]
    )


def _included(name: str, expected: str, reason: str, index: int, proof: list[bytes]) -> Case:
    root = checkpoint_of(LARGE).root
    given: Given = {"leaf": format_base64(leaf_hash(entry(index))), "index": index, "size": LARGE}
    return case(
        name, expected, reason, **given, proof=[format_base64(each) for each in proof], root=format_base64(root)
    )


def _grown(
    name: str,
    expected: str,
    reason: str,
    old: int,
    reader: TileReader,
    *,
    size: int = LARGE,
    old_root: bytes | None = None,
    root: bytes | None = None,
    proof: list[bytes] | None = None,
) -> Case:
    given: Given = {
        "old": old,
        "size": size,
        "old_root": format_base64(old_root or reader.root(old)),
        "root": format_base64(root or reader.root(size)),
        "proof": [format_base64(each) for each in (reader.consistency(old) if proof is None else proof)],
    }
    return case(name, expected, reason, **given)


def _head() -> Checkpoint:
    return checkpoint_of(SIZE)


def _signed(checkpoint: Checkpoint) -> bytes:
    return sign_note(checkpoint.text, [log_signer(), witness(1), witness(2)])


def _lines(note: bytes) -> list[bytes]:
    return [f"{line}\n".encode() for line in Note.parse(note).signatures]


def _bytes(text: object) -> bytes:
    raw = parse_base64(str(text))
    assert raw is not None
    return raw


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _run_note(given: Given) -> object:
    return verify_note(str(given["note"]).encode(), [VerifierKey.parse(str(key)) for key in _list(given["keys"])])


def _run_checkpoint(given: Given) -> object:
    policy = LogPolicy.parse(str(given["policy"]).encode())
    return open_checkpoint(str(given["note"]).encode(), policy, now=datetime.fromisoformat(str(given["now"])))


def _run_proof(given: Given) -> object:
    policy, now = LogPolicy.parse(str(given["policy"]).encode()), datetime.fromisoformat(str(given["now"]))
    return verify_proof(str(given["proof"]).encode(), str(given["entry"]).encode(), policy, now=now)


def _run_inclusion(given: Given) -> None:
    proof = [_bytes(each) for each in _list(given["proof"])]
    index, size = _int(given["index"]), _int(given["size"])
    verify_inclusion(_bytes(given["leaf"]), index, size, proof, _bytes(given["root"]))


def _run_consistency(given: Given) -> None:
    proof = [_bytes(each) for each in _list(given["proof"])]
    old, size = _int(given["old"]), _int(given["size"])
    verify_consistency(old, size, _bytes(given["old_root"]), _bytes(given["root"]), proof)


def _run_path(given: Given) -> object:
    return parse_tile_path(str(given["path"]))


def _run_tree(given: Given) -> None:
    edge = Edge()
    files = dict(edge.grow([entry(index) for index in range(_int(given["size"]))]))
    assert format_base64(edge.root) == given["root"]
    assert len(files) == given["count"]
    expected = given["files"]
    assert isinstance(expected, dict)
    assert {path: hashlib.sha256(files[path]).hexdigest() for path in expected} == expected


RECIPES: Final[Mapping[str, tuple[Callable[[], Iterator[Case]], Callable[[Given], object]]]] = {
    "notes": (_notes, _run_note),
    "checkpoints": (_checkpoints, _run_checkpoint),
    "proofs": (_proofs, _run_proof),
    "inclusion": (_inclusion, _run_inclusion),
    "consistency": (_consistency, _run_consistency),
    "paths": (_paths, _run_path),
    "tree": (_tree, _run_tree),
}
"""By the name of the file: what makes its cases, and what verifies one."""


def path_of(name: str) -> Path:
    """Give the file of a list of cases."""
    return FOLDER / f"{name}.json"


def write(name: str) -> bytes:
    """Make a list of cases."""
    return (json.dumps(list(RECIPES[name][0]()), indent=1, ensure_ascii=False) + "\n").encode()
