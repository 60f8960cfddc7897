"""What can go wrong with policies, besides mistakes in a document (PolicyInvalid)."""

from __future__ import annotations

from tidegate.errors import Conflict, InvalidInput, LimitExceeded, NotFound, Refusal

HOW_TO_INSTALL = "have the registry's operator install one: `tidegate-registry policy install FILE`"


class NoPolicy(Conflict):
    """No company-wide policy is installed, so nothing can be promoted."""

    code = "no-policy"

    @classmethod
    def told(cls) -> NoPolicy:
        """Make it, with what to do."""
        return cls("this registry has no policy yet, so nothing is promoted", hint=HOW_TO_INSTALL)


class PolicyUnknown(NotFound):
    """There is no policy of that name, or no such version of it."""

    code = "policy-unknown"


class ProposalUnknown(NotFound):
    """There is no such proposal for that policy."""

    code = "proposal-unknown"


class ProposalClosed(Conflict):
    """The proposal was applied before, or another version came first."""

    code = "proposal-closed"


class PolicyStale(Conflict):
    """The edit was made from another version than the one in force; `reasons` says what changed meanwhile."""

    code = "policy-stale"


class PolicyUnconditional(InvalidInput):
    """An edit does not say from which version it was made."""

    code = "policy-unconditional"


class PolicyUnchanged(InvalidInput):
    """The proposed text is the one in force."""

    code = "policy-unchanged"


class TooManyQuestions(LimitExceeded):
    """As many texts as may be are being tried out at once."""

    code = "too-many-what-ifs"


class PolicyInstalled(Conflict):
    """There is a policy: it changes by proposals, not by installing another."""

    code = "policy-installed"


class PolicyLockout(Refusal):
    """The document would leave too few who could change it again."""

    code = "policy-lockout"


class PolicyEditRefused(Refusal):
    """The policy in force does not let the caller change it so, or not yet."""

    code = "policy-edit-refused"
