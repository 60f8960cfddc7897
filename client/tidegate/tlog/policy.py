"""Which logs are believed, and how many of which witnesses must stand behind them. Source: C2SP tlog-policy.

log <vkey> [<url>]
witness <name> <vkey> [<url>]
group <name> all|any|<k> <name>...
quorum <name>|none
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tidegate.errors import LogKeyInvalid, LogPolicyInvalid
from tidegate.tlog.note import Algorithm, VerifierKey
from tidegate.tlog.text import parse_decimal, shown

MAX_POLICY_BYTES = 256 << 10
MAX_MEMBERS = 64  # of each kind; C2SP tlog-policy, "Implementation limits": at least 32
NO_QUORUM = "none"
LOG_ALGORITHMS = frozenset({Algorithm.ED25519, Algorithm.COSIGNATURE_ML_DSA_44})  # C2SP tlog-checkpoint, "Signatures"
WITNESS_ALGORITHMS = frozenset({Algorithm.COSIGNATURE_ED25519, Algorithm.COSIGNATURE_ML_DSA_44})
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_BLANK = re.compile(r"[ \t]+")


@dataclass(frozen=True, slots=True)
class Member:
    """A log or a witness: its key and, where it was given, its URL."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """At least `need` of `names`, witnesses or other groups."""

    need: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """The logs that are believed, the witnesses that are known by their names here, and the quorum.

    `quorum`: a witness or a group; None when no cosignature is asked for.
    """

    logs: tuple[Member, ...]
    witnesses: Mapping[str, Member] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    quorum: str | None = None

    @classmethod
    def parse(cls, raw: bytes) -> LogPolicy:
        """Read a policy. Raises LogPolicyInvalid; the message begins with `line N:`."""
        if len(raw) > MAX_POLICY_BYTES:
            raise _Builder().wrong("it is too large", f"{len(raw)} bytes", f"at most {MAX_POLICY_BYTES} bytes")
        built = _Builder()
        *lines, rest = raw.split(b"\n")
        for built.line, line in enumerate(lines, 1):
            built.take(line)
        if rest:
            raise built.wrong("the last line does not end", expected="a newline behind every line")
        return built.policy()

    @classmethod
    def need_of(cls, log: VerifierKey, need: int, witnesses: Iterable[VerifierKey]) -> LogPolicy:
        """Make the policy of one log and `need` of `witnesses`; 0 asks for none. Raises LogPolicyInvalid."""
        built = _Builder()
        built.add_log(Member(log))
        for number, key in enumerate(witnesses, 1):
            built.add_witness(f"w{number}", Member(key))
        if need:
            built.add_group("witnesses", str(need), tuple(built.witnesses))
        built.set_quorum("witnesses" if need else NO_QUORUM)
        return built.policy()

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """All keys whose signatures are verified."""
        return tuple(member.key for member in (*self.logs, *self.witnesses.values()))

    def is_met_by(self, signed: Collection[VerifierKey]) -> bool:
        """Whether the witnesses among the keys `signed` make the quorum."""
        return self.quorum is None or self._stands(self.quorum, signed)

    def describe(self) -> str:
        """Say what the quorum asks for."""
        group = self.groups.get(self.quorum or "")
        if group is None:
            return f"the witness {self.quorum}" if self.quorum else "no witness"
        return f"{group.need} of {', '.join(self._title(name) for name in group.names)}"

    def _stands(self, name: str, signed: Collection[VerifierKey]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return self.witnesses[name].key in signed
        return sum(self._stands(member, signed) for member in group.names) >= group.need

    def _title(self, name: str) -> str:
        return shown(self.witnesses[name].key.name if name in self.witnesses else name)


class _Builder:
    """A policy while it is put together: what is defined so far, and what may still be."""

    def __init__(self) -> None:
        self.line = 0  # of the text that is read; 0 when there is none
        self.logs: list[Member] = []
        self.witnesses: dict[str, Member] = {}
        self._groups: dict[str, Group] = {}
        self._grouped: set[str] = set()
        self._quorum: str | None = None

    def take(self, raw: bytes) -> None:
        """Read one line."""
        if _CONTROL.search(raw):
            raise self.wrong("there is a control character", expected="none but tab and newline")
        line = raw.decode("utf-8", "surrogateescape").strip(" \t")  # opaque octets: what is not UTF-8 stays distinct
        match _BLANK.split(line):
            case [first, *_] if not first or first.startswith("#"):
                return
            case ["log", vkey] | ["log", vkey, _] as words:
                self.add_log(self._member(vkey, words[2:]))
            case ["witness", name, vkey] | ["witness", name, vkey, _] as words:
                self.add_witness(name, self._member(vkey, words[3:]))
            case ["group", name, need, *names]:
                self.add_group(name, need, tuple(names))
            case ["quorum", name]:
                self.set_quorum(name)
            case _:
                raise self.wrong(
                    "that is no line of a policy", shown(line), "log, witness, group, quorum, or # comment"
                )

    def add_log(self, member: Member) -> None:
        """Add a log."""
        self._need_new(member, self.logs, LOG_ALGORITHMS)
        self.logs.append(member)

    def add_witness(self, name: str, member: Member) -> None:
        """Add a witness."""
        self._need_new(member, self.witnesses.values(), WITNESS_ALGORITHMS)
        self._need_free(name)
        self.witnesses[name] = member

    def add_group(self, name: str, need: str, names: tuple[str, ...]) -> None:
        """Add a group of what is defined already, each in no other group: nobody counts twice."""
        self._need_free(name)
        for member in names:
            self._need_known(member)
            if member in self._grouped:
                raise self.wrong("it is in a group already", shown(member), "each name in one group at most")
            self._grouped.add(member)
        count = {"all": len(names), "any": 1}.get(need, parse_decimal(need))
        if count is None or not 1 <= count <= len(names) or len(self._groups) >= MAX_MEMBERS:
            found = f"{shown(need)} of {len(names)}"
            raise self.wrong("nobody can meet that, or everybody does", found, f"all, any, or 1 to {len(names)}")
        self._groups[name] = Group(count, names)

    def set_quorum(self, name: str) -> None:
        """Say what a checkpoint needs."""
        if self._quorum is not None:
            raise self.wrong("there is a second quorum", shown(name), "one line that says the quorum")
        if name != NO_QUORUM:
            self._need_known(name)
        self._quorum = name

    def policy(self) -> LogPolicy:
        """Give what was put together."""
        if self._quorum is None:
            raise self.wrong("no line says the quorum", expected="quorum <name>, or quorum none")
        quorum = None if self._quorum == NO_QUORUM else self._quorum
        return LogPolicy(tuple(self.logs), self.witnesses, self._groups, quorum)

    def wrong(self, message: str, found: str | None = None, expected: str | None = None) -> LogPolicyInvalid:
        """Make the refusal, with the number of the line."""
        where = f"line {self.line}: " if self.line else "the policy: "
        return LogPolicyInvalid(where + message, found=found, expected=expected)

    def _member(self, vkey: str, url: list[str]) -> Member:
        try:
            return Member(VerifierKey.parse(vkey), *url)
        except LogKeyInvalid as error:
            raise self.wrong(error.message, error.reasons[0].found, error.reasons[0].expected) from error

    def _need_new(self, member: Member, others: Collection[Member], algorithms: Collection[Algorithm]) -> None:
        if member.key.algorithm not in algorithms:
            expected = ", ".join(f"{each:#04x}" for each in sorted(algorithms))
            raise self.wrong("that kind of key does not sign this", f"{member.key.algorithm:#04x}", expected)
        if any(other.key.public == member.key.public for other in others):
            raise self.wrong("that key is there already, perhaps under another name", shown(member.key.name))
        if len(others) >= MAX_MEMBERS:
            raise self.wrong("there are too many", expected=f"at most {MAX_MEMBERS}")

    def _need_free(self, name: str) -> None:
        if name in self.witnesses or name in self._groups or name == NO_QUORUM:
            raise self.wrong("that name is taken", shown(name), "a name of its own for each witness and group")

    def _need_known(self, name: str) -> None:
        if name not in self.witnesses and name not in self._groups:
            raise self.wrong("nothing above has that name", shown(name), "a witness or a group that is defined above")
