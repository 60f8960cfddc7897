"""A release that is signed and proven, and comes from a worse place than the one before."""

from __future__ import annotations

import pytest

from tests.shelf import Shelf
from tests.workshop import RELEASE_JOB, WORKFLOW
from tidegate.formats.charter import Charter, Floor
from tidegate.policy.floor import ReleaseFacts

BRANCH_JOB = RELEASE_JOB.model_copy(update={"ref": "refs/heads/main"})
LAPTOP_JOB = RELEASE_JOB.model_copy(update={"runner_environment": "self-hosted"})


def open_charter(shelf: Shelf) -> Charter:
    """The publisher may release from any ref; only tags are better than main, which is better than the rest."""
    everywhere = shelf.workshop.publisher.model_copy(update={"refs": ("refs/tags/*", "refs/heads/*")})
    return shelf.workshop.charter.model_copy(
        update={"publishers": (everywhere,), "builders": {f"{WORKFLOW}@refs/tags/v*": 2}}
    )


@pytest.fixture
def before(agent_shelf: Shelf) -> ReleaseFacts:
    """A release from a protected tag, on the forge's machine, by a known builder."""
    honest = Shelf(agent_shelf.workshop, agent_shelf.open_blob).sign_honestly()
    return honest.verify(charter=open_charter(agent_shelf)).facts


def test_a_release_as_good_as_the_one_before_is_accepted(agent_shelf: Shelf, before: ReleaseFacts) -> None:
    assert agent_shelf.sign_honestly().verify(charter=open_charter(agent_shelf), previous=before).facts == before


def test_a_release_from_a_branch_after_one_from_a_tag_is_refused(agent_shelf: Shelf, before: ReleaseFacts) -> None:
    agent_shelf.sign_honestly(BRANCH_JOB)
    assert agent_shelf.verify(charter=open_charter(agent_shelf)).refused == ()
    found = agent_shelf.refusal(charter=open_charter(agent_shelf), previous=before)
    assert set(found) == {"R8 ref-fell", "R10 builder-fell"}


def test_a_release_from_somebodys_own_machine_is_refused(agent_shelf: Shelf, before: ReleaseFacts) -> None:
    agent_shelf.sign_honestly(LAPTOP_JOB)
    assert agent_shelf.verify(charter=open_charter(agent_shelf)).refused == ()
    assert set(agent_shelf.refusal(charter=open_charter(agent_shelf), previous=before)) == {"R9 runner-fell"}


def test_a_release_from_another_workflow_is_refused_unless_both_are_listed(
    agent_shelf: Shelf, before: ReleaseFacts
) -> None:
    workshop = agent_shelf.workshop
    moved = f"{WORKFLOW.removesuffix('.yml')}-2.yml"
    new = workshop.publisher.model_copy(update={"name": "new", "workflow": moved})
    job = RELEASE_JOB.model_copy(update={"workflow": ".ci/workflows/release-2.yml"})
    agent_shelf.sign_honestly(job)
    builders = {f"{moved}@refs/tags/v*": 2}
    alone = workshop.charter.model_copy(update={"publishers": (new,), "builders": builders})
    both = workshop.charter.model_copy(update={"publishers": (workshop.publisher, new), "builders": builders})
    assert set(agent_shelf.refusal(charter=alone, previous=before)) == {"R11 signer-changed"}
    assert agent_shelf.verify(charter=both, previous=before).facts.workflow == moved


@pytest.mark.parametrize(
    ("floor", "expected"),
    [
        (Floor(ref="protected-tag"), "R8 ref-too-low"),
        (Floor(runner="hosted"), "R9 runner-too-low"),
        (Floor(builder_level=2), "R10 builder-too-low"),
    ],
    ids=["ref", "runner", "builder"],
)
def test_the_charters_least_holds_for_the_first_release_too(floor: Floor, expected: str, agent_shelf: Shelf) -> None:
    job = BRANCH_JOB.model_copy(update={"runner_environment": "self-hosted"})
    charter = open_charter(agent_shelf).model_copy(update={"floor": floor})
    assert set(agent_shelf.sign_honestly(job).refusal(charter=charter)) == {expected}


def test_provenance_from_the_build_job_itself_never_reaches_level_3(agent_shelf: Shelf) -> None:
    charter = open_charter(agent_shelf).model_copy(
        update={"builders": {f"{WORKFLOW}@refs/tags/v*": 3}, "floor": Floor(builder_level=3)}
    )
    assert set(agent_shelf.sign_honestly().refusal(charter=charter)) == {"R10 builder-too-low"}


def test_a_model_that_can_change_under_the_release_is_refused_where_the_charter_says_so(agent_shelf: Shelf) -> None:
    charter = agent_shelf.workshop.charter.model_copy(update={"unpinned": "refuse"})
    found = agent_shelf.sign_honestly().refusal(charter=charter)
    assert set(found) == {"R5 unpinned-model"}
    assert found["R5 unpinned-model"].found == "gpt-4o"
