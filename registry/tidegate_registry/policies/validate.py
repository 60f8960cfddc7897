"""Whether a text can become a version: every mistake in it, and every overlay that would no longer fit it."""

from __future__ import annotations

from tidegate.errors import PolicyInvalid, Reason
from tidegate.formats.document import refusal
from tidegate.policy.load import LoadedPolicy, load_policy
from tidegate.policy.model import COMPANY
from tidegate_registry.policies.errors import NoPolicy
from tidegate_registry.policies.source import PolicySet


def check_text(current: PolicySet, name: str, text: bytes, *, title: str | None = None) -> LoadedPolicy:
    """Load `text` as the next version of `name`. `title`: how mistakes call it.

    Raises PolicyInvalid with every mistake, NoPolicy.
    """
    title = title or name
    if name == COMPANY:
        return load_policy(text, name=title)
    if current.company is None:
        raise NoPolicy.told()
    loaded = load_policy(current.company.text, text, name=current.company.title, overlay_name=title)
    if loaded.overlay is None or loaded.overlay.namespace != name:
        found = loaded.overlay.namespace if loaded.overlay else None
        raise PolicyInvalid(
            f"{title}: namespace: is not the namespace of this overlay",
            code="policy-name-differs",
            found=found,
            expected=name,
        )
    return loaded


def check_overlays(current: PolicySet, text: bytes) -> dict[str, LoadedPolicy]:
    """Load every overlay in force on the company-wide document `text`. Raises PolicyInvalid with each that breaks."""
    loaded: dict[str, LoadedPolicy] = {}
    reasons: list[Reason] = []
    for name, overlay in sorted(current.versions.items()):
        if name == COMPANY:
            continue
        try:
            loaded[name] = load_policy(text, overlay.text, name=COMPANY, overlay_name=overlay.title)
        except PolicyInvalid as error:
            reasons += error.reasons
    if reasons:
        raise refusal(PolicyInvalid, reasons)
    return loaded
