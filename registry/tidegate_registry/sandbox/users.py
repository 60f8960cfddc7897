"""The four people of the sandbox, and the namespace their demo agents live in."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.errors import NotFound

EMAIL_DOMAIN = "sandbox.example"  # RFC 2606: nobody can ever own it
DEMO_NAMESPACE = "acme"
DEMO_AGENT = f"{DEMO_NAMESPACE}/support-agent"


@dataclass(frozen=True, slots=True)
class DemoUser:
    """One person. `groups` goes into the token's claim of that name."""

    name: str
    role: str
    groups: tuple[str, ...]

    @property
    def email(self) -> str:
        return f"{self.name}@{EMAIL_DOMAIN}"

    def claims(self) -> dict[str, object]:
        return {
            "sub": f"sandbox|{self.name}",
            "email": self.email,
            "email_verified": True,
            "name": self.name.capitalize(),
            "preferred_username": self.name,
            "groups": list(self.groups),
        }


USERS: dict[str, DemoUser] = {
    user.name: user
    for user in (
        DemoUser("alice", "developer: writes and publishes agents", ("developers",)),
        DemoUser("bob", "reviewer: approves releases", ("reviewers",)),
        DemoUser("carol", "release manager: promotes and rolls back", ("release-managers",)),
        DemoUser("dave", "administrator and auditor: policies, roles, the log", ("admins", "auditors")),
    )
}


def demo_user(name: str) -> DemoUser:
    """Give a user by name. Raises NotFound."""
    user = USERS.get(name)
    if user is None:
        raise NotFound("the sandbox has no such user", found=name[:40], expected=", ".join(USERS))
    return user
