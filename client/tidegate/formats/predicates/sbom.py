"""Bills of materials: CycloneDX and SPDX, as far as policies ask for them. Their forms are others'.

Spec page: docs/spec/evidence-of-others.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.members import MAX_NAME_CHARACTERS, Members

MAX_COMPONENTS: Final = 200_000


@dataclass(frozen=True, slots=True)
class SbomPredicate:
    """Which form it has (`cyclonedx` or `spdx`), of which version, and how many components it lists."""

    format: str
    spec_version: str
    components: int

    @classmethod
    def parse_cyclonedx(cls, predicate: JsonObject) -> SbomPredicate:
        """Read a CycloneDX BOM. Raises StatementInvalid (code "sbom-malformed")."""
        members = Members(predicate, "sbom-malformed", "the bill of materials cannot be read")
        members.choice("bomFormat", ("CycloneDX",))
        components = sum(1 for _ in members.objects("components", MAX_COMPONENTS))
        return cls("cyclonedx", members.text("specVersion", MAX_NAME_CHARACTERS), components)

    @classmethod
    def parse_spdx(cls, predicate: JsonObject) -> SbomPredicate:
        """Read an SPDX 2 document, or the packages of an SPDX 3 graph. Raises StatementInvalid ("sbom-malformed")."""
        members = Members(predicate, "sbom-malformed", "the bill of materials cannot be read")
        if members.has("@graph"):
            elements = list(members.objects("@graph", MAX_COMPONENTS))
            info = next((item for item in elements if item.values.get("type") == "CreationInfo"), None)
            if info is None:
                raise members.refusal("@graph has no CreationInfo")
            packages = sum(item.values.get("type") == "software_Package" for item in elements)
            return cls("spdx", info.text("specVersion", MAX_NAME_CHARACTERS), packages)
        version = members.text("spdxVersion", MAX_NAME_CHARACTERS).removeprefix("SPDX-")
        return cls("spdx", version, sum(1 for _ in members.objects("packages", MAX_COMPONENTS)))

    def as_json(self) -> JsonObject:
        """Give all members."""
        return {"format": self.format, "specVersion": self.spec_version, "components": self.components}

    def view(self) -> JsonObject:
        """Give what policies read: every member."""
        return self.as_json()
