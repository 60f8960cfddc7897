"""Vector recipes as parameters of tests: made with fresh keys where the sandbox is, step by step of the verifier."""

from __future__ import annotations

import pytest

from tests.vectorrecipes import RECIPES, Made, Recipe
from tests.workshop import Workshop
from tidegate.errors import EvidenceRefused
from tidegate.verify.attestation import verify_attestation
from tidegate.verify.trust import Root, Trust


def recipes_of(*steps: str) -> pytest.MarkDecorator:
    """Parametrise `recipe` with every recipe that must be refused at one of `steps`."""
    chosen = [recipe for recipe in RECIPES if recipe.expected.partition(" ")[0] in steps]
    return pytest.mark.parametrize("recipe", chosen, ids=lambda recipe: recipe.name)


def outcome(recipe: Recipe, workshop: Workshop) -> str:
    """Make the case anew and say what comes of it, as in the vectors."""
    import json
    from datetime import timedelta

    made: Made = recipe.make(workshop)
    charter = made.charter or workshop.charter
    document = workshop.main.client_trust_config() if made.client_trust_config else workshop.main.trusted_root()
    if made.change_root is not None:
        made.change_root(document)
    roots = [Root("main", json.dumps(document).encode()), workshop.roots["other"]]
    try:
        verify_attestation(
            made.raw,
            subject=workshop.subject,
            agent=made.agent,
            charter=charter,
            trust=Trust.from_parts(roots, [charter], allow_sandbox=True),
            now=workshop.now,
            max_age=None if made.max_age_days is None else timedelta(days=made.max_age_days),
        )
    except EvidenceRefused as error:
        return f"{error.reasons[0].step} {error.reasons[0].code}"
    return "verified"
