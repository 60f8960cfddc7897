"""How well a build's ref is guarded, and who runs its machine: classes that can be compared, and may not fall."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class _Class(IntEnum):
    @property
    def label(self) -> str:
        """The name used in files and messages."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def labelled(cls, label: str) -> Self:
        """Give the member with that name. Raises ValueError."""
        for member in cls:
            if member.label == label:
                return member
        raise ValueError(label)


class RefClass(_Class):
    """How well the git ref of a build is guarded; greater is better."""

    OTHER = 0
    PROTECTED_BRANCH = 1
    PROTECTED_TAG = 2


class RunnerClass(_Class):
    """Who runs the build's machine; greater is better."""

    SELF_HOSTED = 0
    HOSTED = 1
