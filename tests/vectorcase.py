"""One folder under tests/vectors: a bundle, the manifest it is about, whom to trust, and what must come of it.

Needs the client alone. `scripts/vectors.py` writes the folders; `tests/client/verify/test_vectors.py` walks them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tidegate.digest import Digest
from tidegate.errors import EvidenceRefused
from tidegate.formats.charter import Charter
from tidegate.formats.trustfile import parse_charter
from tidegate.formats.yamldoc import parse_yaml
from tidegate.policy.evidence import VerifiedAttestation
from tidegate.verify.attestation import verify_attestation
from tidegate.verify.trust import Root, Trust

VECTORS = Path(__file__).parent / "vectors"


@dataclass(frozen=True)
class VectorCase:
    """What a folder holds. `expected`: "verified", or step and code of the refusal, "A13 identity-not-in-charter"."""

    name: str
    bundle: bytes
    subject: Digest
    agent: str
    charter: Charter
    trust: Trust
    now: datetime
    max_age: timedelta | None
    expected: str

    @classmethod
    def load(cls, folder: Path) -> VectorCase:
        document = parse_yaml((folder / "case.yaml").read_bytes(), limit=1 << 16, name="case.yaml").value
        assert isinstance(document, dict)
        roots = document["roots"]
        assert isinstance(roots, dict)
        charter = parse_charter((folder / "charter.yaml").read_bytes(), name="charter.yaml", roots=roots)
        loaded = [Root(name, (folder / str(file)).read_bytes()) for name, file in roots.items()]
        age = document.get("maxAgeDays")
        assert age is None or isinstance(age, int)
        return cls(
            name=folder.name,
            bundle=(folder / "bundle.json").read_bytes(),
            subject=Digest.of((folder / "manifest.json").read_bytes()),
            agent=str(document["agent"]),
            charter=charter,
            trust=Trust.from_parts(loaded, [charter], allow_sandbox=True),
            now=datetime.fromisoformat(str(document["now"])).astimezone(UTC),
            max_age=None if age is None else timedelta(days=age),
            expected=str(document["expected"]),
        )

    def verify(self) -> VerifiedAttestation:
        """Verify the bundle as the case says. Raises EvidenceRefused."""
        return verify_attestation(
            self.bundle,
            subject=self.subject,
            agent=self.agent,
            charter=self.charter,
            trust=self.trust,
            now=self.now,
            max_age=self.max_age,
        )

    def outcome(self) -> str:
        """Say what came of it, in the words of `expected`."""
        try:
            self.verify()
        except EvidenceRefused as error:
            return f"{error.reasons[0].step} {error.reasons[0].code}"
        return "verified"


def vector_folders(root: Path = VECTORS) -> list[Path]:
    """Give the folders of all cases, by name."""
    return sorted(path.parent for path in root.glob("*/case.yaml"))
