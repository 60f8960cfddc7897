"""What whoami says about policies: person, roles, and what these allow where."""

from __future__ import annotations

import pytest

from tests.registry.access.charters import AGENT, charter, charters, person
from tests.registry.admission.world import GateWorld
from tests.registry.policies.documents import IDP, overlay, policy, text
from tidegate.cli.main import main
from tidegate.errors import PolicyInvalid
from tidegate.policy.inputs import Caller
from tidegate.policy.load import LoadedPolicy, load_policy
from tidegate.policy.model import COMPANY
from tidegate_registry.access.policy_rights import Action, PolicyRight, PolicyStanding, describe_standing
from tidegate_registry.access.principal import ANONYMOUS
from tidegate_registry.access.rights import AccessRules
from tidegate_registry.access.whoami import describe_caller
from tidegate_registry.audit.events import SYSTEM
from tidegate_registry.policies.install import install

GLASS = {
    "allow": ["admin"],
    "channels": ["stable"],
    "expiresAfter": "1h",
    "review": {"within": "24h", "allow": ["reviewer"]},
}
DOCUMENT = policy(breakGlass=GLASS, overlayEditors={"acme": {"allow": ["developer"]}})


def in_force(**overlays: dict[str, object]) -> dict[str, LoadedPolicy]:
    base = text(DOCUMENT)
    return {COMPANY: load_policy(base)} | {name: load_policy(base, text(each)) for name, each in overlays.items()}


def caller(name: str, *groups: str) -> Caller:
    return Caller("human", IDP, f"{name}@acme.example", {"groups": groups})


def test_whom_the_policy_does_not_know_it_gives_nothing() -> None:
    assert describe_standing(caller("mallory"), in_force()) == PolicyStanding()
    assert describe_standing(caller("anna", "admins"), {}) == PolicyStanding()


def test_a_person_has_what_their_roles_allow() -> None:
    standing = describe_standing(caller("anna", "admins"), in_force())
    assert (standing.person, standing.roles) == ("anna", ("admin",))
    assert standing.rights == (
        PolicyRight(Action.BREAK_GLASS, ("admin",), ("*/*",), channels=("stable",)),
        PolicyRight(Action.EDIT_POLICY, ("admin",), policy=COMPANY),
        PolicyRight(Action.EDIT_POLICY, ("admin",), policy="acme"),
        PolicyRight(Action.READ_LOG, ("admin",)),
    )
    both = describe_standing(caller("anna", "admins", "developers"), in_force()).rights
    edits = {right.policy: right.roles for right in both if right.action is Action.EDIT_POLICY}
    assert edits == {COMPANY: ("admin",), "acme": ("admin", "developer")}, "only the roles that allow it"
    (review,) = describe_standing(caller("rita", "reviewers"), in_force()).rights
    assert (review.action, review.roles) == (Action.REVIEW_BREAK_GLASS, ("reviewer",))


def test_what_a_namespaces_overlay_takes_away_is_said() -> None:
    narrowing = overlay("acme", transitions=[{"from": "dev", "to": "staging", "allow": ["developer"]}])
    rights = describe_standing(caller("dev", "developers"), in_force(acme=narrowing)).rights
    asked = [(right.source, right.channels, right.unless) for right in rights if right.action is Action.PROMOTE]
    assert asked == [(None, ("dev",), ()), ("dev", ("staging",), ()), ("staging", ("stable",), ())]
    two = policy(
        transitions=[
            {"to": "dev", "allow": ["developer", "admin"]},
            {"from": "dev", "to": "staging", "allow": ["admin"]},
        ],
        channels=["dev", "staging"],
    )
    only_admins = overlay("acme", transitions=[{"to": "dev", "allow": ["admin"]}])
    policies = {COMPANY: load_policy(text(two)), "acme": load_policy(text(two), text(only_admins))}
    (promote,) = describe_standing(caller("dev", "developers"), policies).rights
    assert (promote.agents, promote.unless) == (("*/*",), ("acme/*",))


def test_where_an_approval_counts_is_said_with_the_standing() -> None:
    described = describe_caller(person("carol@acme.example"), charters(AGENT), AccessRules(), in_force())
    found = {(each.agents, str(each.standing)): each.channels for each in described.standings}
    assert found == {("*/*", "reader"): (), (AGENT, "approver"): ("*",)}
    one = charter().model_copy(
        update={"approvers": tuple(rule.model_copy(update={"channels": ("stable",)}) for rule in charter().approvers)}
    )
    described = describe_caller(person("carol@acme.example"), [one], AccessRules())
    assert described.standings[-1].channels == ("stable",)
    assert describe_caller(ANONYMOUS, charters(AGENT), AccessRules(), in_force()).policy == PolicyStanding()


def test_the_command_says_it_in_words(
    gate_world: GateWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    issuer = gate_world.shop.main.issuer.url
    roles = {name: [{"issuer": issuer, "claims": {"groups": group}}] for name, group in {"admin": "admins"}.items()}
    people = {"dave": [{"issuer": issuer, "identity": "dave@sandbox.example"}]}
    edges = [{"to": "dev", "allow": ["admin"]}, {"from": "dev", "to": "stable", "allow": ["admin"]}]
    document = policy(
        persons=people,
        roles=roles,
        channels=["dev", "stable"],
        transitions=edges,
        editors={"allow": ["admin"], "approvals": 0},
        breakGlass={**GLASS, "review": {"within": "24h", "allow": ["admin"]}},
    )
    install(gate_world.services, SYSTEM, text(document), reason="for a test")
    monkeypatch.setenv("TIDEGATE_TOKEN", gate_world.shop.main.mint_token("dave", gate_world.url))
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert main(["whoami", "--registry", gate_world.url]) == 0
    shown = capsys.readouterr()
    assert shown.out == "dave@sandbox.example\n"
    for line in (
        "Person  dave",
        "Roles  admin",
        "May  ask for promotions of */* to dev (as admin)",
        "May  ask for promotions of */* from dev to stable (as admin)",
        "May  break the glass for */* in stable (as admin)",
        "May  review who broke the glass for */* in stable (as admin)",
        "May  edit the policy (as admin)",
    ):
        assert line in shown.err, line


def test_a_role_among_the_auditors_reads_the_log_and_changes_nothing() -> None:
    audited = {COMPANY: load_policy(text(policy(auditors=["reviewer"])))}
    assert describe_standing(caller("rita", "reviewers"), audited).rights == (
        PolicyRight(Action.READ_LOG, ("reviewer",)),
    )
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(text(policy(auditors=["nobody"])))
    assert caught.value.reasons[0].code == "policy-invalid"
