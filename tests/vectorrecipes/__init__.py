"""How the bundles under tests/vectors are made: one function a case, with what must come of it and why."""

from tests.vectorrecipes import accepted, form, said, signer
from tests.vectorrecipes.common import RECIPES, Made, Recipe

__all__ = ["RECIPES", "Made", "Recipe", "accepted", "form", "said", "signer"]
