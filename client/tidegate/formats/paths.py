"""Which file names a bundle may hold: pure rules over text, the same when building, admitting and unpacking.

A name must mean one file to every person, file system and tool that looks at it. Source: docs/spec/bundle.md, "Paths".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from tidegate.errors import Reason

MAX_PATH_BYTES = 1024  # PATH_MAX of macOS, the smallest of the systems that hosts run on
MAX_SEGMENT_BYTES = 255  # NAME_MAX of ext4, XFS, APFS
MAX_SEGMENTS = 32  # deeper than any package tree seen; bounds the folders that a file list can name
_DRIVE = re.compile(r"[A-Za-z]:")
_TOKEN = re.compile(r"[^\W\d_]+")
_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_WINDOWS_CHARACTERS = frozenset('<>:"|?*')

# Unicode DerivedCoreProperties.txt, Default_Ignorable_Code_Point without category Cf: drawn as nothing
_IGNORABLE = (
    *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0x3164, 0x3164)),
    *((0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF)),
)
_BY_CATEGORY = {
    "Cc": ("path-control", "a control character"),
    "Zl": ("path-control", "a line separator"),
    "Zp": ("path-control", "a paragraph separator"),
    "Cf": ("path-invisible", "an invisible or direction-changing character"),
    "Zs": ("path-invisible", "a space that is not the space bar's"),
    "Cs": ("path-not-utf8", "bytes that are not UTF-8"),
    "Cn": ("path-unassigned", "a code point that Unicode has not assigned"),
    "Co": ("path-unassigned", "a private-use code point"),
}


def check_path(path: str) -> tuple[Reason, ...]:
    """Say everything that is wrong with one relative path (`/` between segments); empty when it is acceptable."""
    return tuple(_path_reasons(path))


def check_tree(paths: Iterable[str]) -> tuple[Reason, ...]:
    """Say which paths cannot stand side by side: repeated, told apart only by looks, or both file and folder.

    Two names are confusable when they are equal after NFKC and case folding, or, if one of them is not ASCII, when
    their UTS #39 skeletons are equal. (Pure ASCII pairs such as `l` and `1` are told apart by their code points.)
    """
    reasons: list[Reason] = []
    files: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        if path in files:
            reasons.append(_reason("path-duplicate", "the same path is listed twice", path))
        files.add(path)
        folders.update(_folders(path))
    both = sorted(files & folders)
    reasons += [_reason("path-conflict", "a path is both a file and a folder", path) for path in both]
    names = sorted(files | folders)
    reasons += _twins(names, _folded)
    strange = [name for name in names if not name.isascii()]
    if strange:  # the table of look-alikes is loaded for these alone
        reasons += _twins(names, _skeleton, among=strange)
        reasons += _twins(names, _folded_skeleton, among=strange)
    return tuple(dict.fromkeys(reasons))


def windows_warning(path: str) -> str | None:
    """Say why `path` cannot be unpacked on Windows, or None. A warning, not a refusal: most hosts are not Windows."""
    for segment in path.split("/"):
        if _WINDOWS_DEVICE.fullmatch(segment):
            return f"{path}: `{segment}` is a device name on Windows"
        if segment.endswith((" ", ".")):
            return f"{path}: `{segment}` ends in a dot or a space, which Windows drops"
        if bad := sorted(_WINDOWS_CHARACTERS.intersection(segment)):
            return f"{path}: `{bad[0]}` cannot be in a name on Windows"
    return None


def printable(path: str) -> str:
    """Give `path` with every character that could deceive a reader written as an escape."""
    return "".join(
        char
        if char == " " or (unicodedata.category(char)[0] not in "CZ" and not _ignorable(ord(char)))
        else f"\\u{{{ord(char):x}}}"
        for char in path
    )


def _path_reasons(path: str) -> Iterator[Reason]:
    if not path:
        yield _reason("path-empty", "a path is empty", path)
        return
    if path.startswith("/") or _DRIVE.match(path):
        yield _reason("path-absolute", "a path is absolute", path, expected="a path below the agent's folder")
    if "\\" in path:
        yield _reason("path-backslash", "a path holds a backslash, which parts folders on Windows", path)
    segments = path.split("/")
    if ".." in segments:
        yield _reason("path-parent", "a path goes to a parent folder", path, expected="no `..`")
    if "." in segments or "" in segments[1:]:
        yield _reason("path-not-normal", "a path holds an empty or `.` segment", path)
    if len(path) > MAX_PATH_BYTES or len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        yield _reason("path-too-long", "a path is too long", path[:80], expected=f"at most {MAX_PATH_BYTES} bytes")
    elif any(len(segment.encode("utf-8", "surrogatepass")) > MAX_SEGMENT_BYTES for segment in segments):
        yield _reason("path-too-long", "a name is too long", path, expected=f"at most {MAX_SEGMENT_BYTES} bytes")
    if len(segments) > MAX_SEGMENTS:
        yield _reason("path-too-deep", "a path has too many segments", path, expected=f"at most {MAX_SEGMENTS}")
    if path.isascii() and path.isprintable():
        return
    yield from _character_reasons(path)


def _character_reasons(path: str) -> Iterator[Reason]:
    for char in dict.fromkeys(path):
        category = unicodedata.category(char)
        code, what = _BY_CATEGORY.get(category, (None, ""))
        if code is None and _ignorable(ord(char)):
            code, what = _BY_CATEGORY["Cf"]
        if code is not None and char != " ":
            yield _reason(code, f"a path holds {what}, U+{ord(char):04X}", path)
    if not unicodedata.is_normalized("NFC", path):
        yield _reason("path-not-nfc", "a path is not in Unicode normal form C", path, hint="rename it in NFC")
    for token in _TOKEN.findall(path):
        if any("a" <= char <= "z" or "A" <= char <= "Z" for char in token):
            impostor = next((char for char in token if not char.isascii() and _looks_like_ascii(char)), None)
            if impostor is not None:
                message = f"`{token}` mixes Latin letters with a look-alike, {_name(impostor)}"
                yield _reason("path-mixed-script", message, path, hint="write the word in one script")


def _reason(code: str, message: str, path: str, *, expected: str | None = None, hint: str | None = None) -> Reason:
    return Reason(code=code, message=f"{message}: {printable(path)[:300]}", expected=expected, hint=hint)


def _twins(names: list[str], key: Callable[[str], str], among: list[str] | None = None) -> Iterator[Reason]:
    """Name pairs of equal key; when `among` is given, only pairs that hold one of them."""
    chosen = set(names if among is None else among)
    first_chosen: dict[str, str] = {}
    first: dict[str, str] = {}
    for name in names:
        looks = key(name)
        other = first.get(looks) if name in chosen else first_chosen.get(looks)
        if other is not None:
            yield Reason(
                code="path-confusable",
                message="two paths cannot be told apart on every system or by every reader: "
                f"{printable(other)[:300]}, {printable(name)[:300]}",
                found=f"{other[:300]!a} and {name[:300]!a}",
                hint="rename one of them",
            )
        first.setdefault(looks, name)
        if name in chosen:
            first_chosen.setdefault(looks, name)


def _name(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".rstrip()


def _ignorable(point: int) -> bool:
    return any(low <= point <= high for low, high in _IGNORABLE)


def _folders(path: str) -> Iterator[str]:
    at = path.find("/")
    while at != -1:
        yield path[:at]
        at = path.find("/", at + 1)


def _folded(name: str) -> str:
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _folded_skeleton(name: str) -> str:
    return _skeleton(name.casefold())


def _skeleton(name: str) -> str:
    """UTS #39 section 4, over the NFKC form and folded afterwards, so that case hides nothing."""
    decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", name))
    mapped = "".join(_prototypes().get(char, char) for char in decomposed)
    return unicodedata.normalize("NFD", mapped).casefold()


def _looks_like_ascii(char: str) -> bool:
    prototype = _prototypes().get(char, char)
    return prototype.isascii() and prototype.isalpha() and not unicodedata.name(char, "").startswith("LATIN ")


@cache
def _prototypes() -> dict[str, str]:
    """Map each character to its prototype in Unicode's confusables.txt.

    The package lists relations both ways; a character with one relation is a source, unless the other end has one too:
    then the lower code point stands for both, which is as good for telling twins.
    """
    from confusable_homoglyphs.confusables import confusables_data

    result: dict[str, str] = {}
    for char, relations in confusables_data.items():
        if len(char) == 1 and len(relations) == 1:
            target = relations[0]["c"]
            one_to_one = len(confusables_data.get(target, ())) == 1
            result[char] = min(char, target) if one_to_one and len(target) == 1 else target
    return result
