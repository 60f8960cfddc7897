"""Conditions of policies (`when`) in CEL: typed, bounded, and never true for want of evidence.

Spec page: docs/spec/policy-conditions.md. The library behind it comes with the extra `tidegate[policy]`; without
it every condition is inconclusive and says so.
"""
