"""watch.yaml: what `tidegate log watch` tells of, and whom. Spec page: docs/spec/alerts.md, "The file"."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tidegate.auditor.rules import MAX_WINDOW, Mine, WatchRules
from tidegate.errors import WatchFileInvalid
from tidegate.formats.document import Closed, read_document
from tidegate.formats.yamldoc import parse_yaml
from tidegate.policy.requirements import Duration

MAX_WATCH_FILE_BYTES = 256 << 10
MAX_LISTED = 1_000  # identities, agents

Name = Annotated[str, Field(min_length=1, max_length=2_048)]


class WatchedIdentity(Closed):
    """An identity, or a person by the policy's name."""

    issuer: Name | None = Field(default=None, description="Who vouches for the identity; compared exactly.")
    identity: Name | None = Field(default=None, description="Its name; `*` stands for any characters.")
    person: Name | None = Field(default=None, description="In place of both: a person, as the policy names people.")

    @model_validator(mode="after")
    def _one_of_both(self) -> WatchedIdentity:
        if (self.person is None) == (self.issuer is None) or (self.issuer is None) != (self.identity is None):
            raise ValueError("names issuer and identity, or a person")
        return self


class RefusalRate(Closed):
    """How many refusals are too many."""

    limit: int = Field(ge=0, le=1_000_000, description="More than so many within the window are told.")
    within: Duration = Field(default=timedelta(minutes=1), description="The window, at most an hour; such as 1m.")

    @model_validator(mode="after")
    def _can_be_remembered(self) -> RefusalRate:
        if not timedelta(seconds=1) <= self.within <= MAX_WINDOW:
            raise ValueError("has a window that is not from 1s to 1h")
        return self


class WebhookEntry(Closed):
    """Where alerts are sent."""

    url: Name = Field(description="An https URL, or an http one of this machine.")
    secret_file: Name | None = Field(
        default=None, description="A file with the secret; else TIDEGATE_WEBHOOK_SECRET has it."
    )
    plain_http: bool = Field(default=False, description="Whether http to another machine will do.")


class WatchFile(Closed):
    """What a watch.yaml says."""

    format: Literal["tidegate/watch/v1"] = Field(
        default="tidegate/watch/v1", description="The form of this document; a reader refuses one it does not know."
    )
    identities: tuple[WatchedIdentity, ...] = Field(
        default=(), max_length=MAX_LISTED, description="Mine: any use of them is told."
    )
    agents: tuple[Name, ...] = Field(
        default=(), max_length=MAX_LISTED, description="Mine: their changes are told; `*` stands for any characters."
    )
    policy_changes: bool = Field(default=False, description="Whether changes of policies, trust and roles are told.")
    break_glass: bool = Field(default=False, description="Whether uses of break-glass are told.")
    refusals: RefusalRate | None = Field(default=None, description="When refusals are told.")
    quiet_for: Duration | None = Field(default=None, description="Tell when the log has had no entry for so long.")
    witnessed_within: Duration | None = Field(
        default=None, description="Tell when no witness has signed a checkpoint for so long."
    )
    webhook: WebhookEntry | None = Field(default=None, description="Where alerts are sent, besides the output.")

    @property
    def rules(self) -> WatchRules:
        """The rules that it states."""
        rate = self.refusals
        return WatchRules(
            mine=tuple(Mine(each.issuer or "", each.identity or "", each.person or "") for each in self.identities),
            agents=self.agents,
            policy_changes=self.policy_changes,
            break_glass=self.break_glass,
            refusals=None if rate is None else rate.limit,
            window=timedelta(minutes=1) if rate is None else rate.within,
            quiet=self.quiet_for,
            checkpoint_age=self.witnessed_within,
        )


def parse_watch_file(raw: bytes, *, name: str) -> WatchFile:
    """Parse a watch.yaml. Raises WatchFileInvalid with every mistake and its line."""
    document = parse_yaml(raw, limit=MAX_WATCH_FILE_BYTES, name=name, error=WatchFileInvalid)
    return read_document(document, WatchFile, error=WatchFileInvalid)
