"""Content digests as OCI writes them: `sha256:<hex>`; sha512 is accepted where the Distribution Spec demands it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from tidegate.errors import DigestInvalid

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_PATTERN = re.compile(r"(?P<algorithm>sha256|sha512):(?P<hex>[0-9a-f]+)")
CHUNK_BYTES = 1 << 20  # large enough that hashing, not Python, is the cost


class Digest(str):
    """An algorithm and a lower-case hexadecimal hash, checked when made by `parse` or `of`.

    It is a `str`, so it goes into JSON, SQL and URLs as it is. Source: OCI image-spec, descriptor, "Digests".
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check and wrap `text`. Raises DigestInvalid."""
        match = _PATTERN.fullmatch(text)
        if match is None or len(match["hex"]) != _HEX_LENGTH[match["algorithm"]]:
            raise DigestInvalid(
                "that is not a digest", found=text[:160], expected="sha256:<64 lower-case hexadecimal digits>"
            )
        return cls(text)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Self:
        """Hash `data`."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Hash the bytes of the file at `path`."""
        with path.open("rb") as file:
            return cls(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")

    @property
    def algorithm(self) -> str:
        """`sha256` or `sha512`."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The hash alone, lower-case hexadecimal."""
        return self.partition(":")[2]

    @property
    def raw(self) -> bytes:
        """The hash alone, 32 or 64 bytes."""
        return bytes.fromhex(self.hex)

    def matches(self, data: bytes) -> bool:
        """Whether `data` has this digest."""
        return hmac.compare_digest(self.encode(), Digest.of(data, self.algorithm).encode())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        def check(text: str) -> Digest:
            try:
                return cls.parse(text)
            except DigestInvalid as error:
                raise ValueError(f"{error}: expected sha256:<64 lower-case hexadecimal digits>") from error

        return core_schema.no_info_after_validator_function(
            check,
            core_schema.str_schema(pattern=r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$"),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )


class Hasher:
    """Counts and hashes bytes on their way: feed chunks, then ask for `digest` and `size`."""

    def __init__(self, algorithm: str = "sha256") -> None:
        self._hash = hashlib.new(algorithm)
        self.algorithm = algorithm
        self.size = 0

    @classmethod
    def of(cls, chunks: Iterable[bytes], algorithm: str = "sha256") -> Self:
        """Hash all of `chunks`."""
        hasher = cls(algorithm)
        for chunk in chunks:
            hasher.update(chunk)
        return hasher

    def update(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        self._hash.update(chunk)
        self.size += len(chunk)

    @property
    def digest(self) -> Digest:
        """The digest of all bytes so far."""
        return Digest(f"{self.algorithm}:{self._hash.hexdigest()}")


def chunks_of(file: BinaryIO, size: int = CHUNK_BYTES) -> Iterable[bytes]:
    """Read `file` to its end in pieces of `size` bytes."""
    while chunk := file.read(size):
        yield chunk
