"""Cases that came out otherwise than with what the channel serves: somebody looks at them, signs that, and files it."""

from __future__ import annotations

from tests.registry.promotion.world import POLICY, Promotions, finding, missing
from tidegate.formats.predicates.types import PREDICATE_REVIEW

LOOKED_AT = "- {id: looked-at, review: {evaluation: evals, role: reviewer}}\n  "


def test_a_review_that_was_filed_counts_and_one_that_was_only_attached_does_not(promotions: Promotions) -> None:
    promotions.install(POLICY.replace("- {id: evaluated", f"{LOOKED_AT}- {{id: evaluated"))
    for version, outcomes in (("1.0.0", {"a": 3, "b": 3}), ("1.1.0", {"a": 3, "b": 0})):
        promotions.publish(version)
        promotions.promote(version, "dev", "alice")
        promotions.evaluate(version, outcomes=outcomes)
        promotion = promotions.ask("carol", version, "staging").json()
        promotion = promotions.approve("bob", promotion).json()
    assert missing(promotion) == ["looked-at"]
    assert finding(promotion, "looked-at")["hint"].endswith(f"`tidegate review {promotion['id']}`")
    flips = {
        "suite": "support-regression",
        "baseline": promotions.manifests["1.0.0"].digest,
        "cases": finding(promotion, "looked-at")["measured"]["flipped"],
    }
    about = {name: promotion[name] for name in ("agent", "version", "digest")}
    review = about | {"verdict": "accepted", "reason": "it was wrong before", "flips": flips}
    manifest = promotions.attach("bob", "1.1.0", PREDICATE_REVIEW, review)
    assert missing(promotions.show(promotion)) == ["looked-at"]
    assert promotions.file("bob", promotion, manifest).json()["state"] == "done"
