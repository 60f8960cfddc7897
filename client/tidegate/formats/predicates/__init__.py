"""Predicates: what statements say. One module for each kind that Tidegate reads; `types` names all it knows.

Each kind is a frozen dataclass with `parse`, `as_json`, and `view`: what policies and decision records read of it.
Spec pages: docs/spec/{release,provenance,approval,break-glass,review,evaluation,shadow-comparison}.md.
"""
