"""What must be kept. Rooms register the roots they need; whoever removes anything asks for all of them first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import Select, select

from tidegate.digest import Digest
from tidegate_registry.db import Tx

RootQuery = Select[str, str]  # of (repository, manifest digest)


class Roots:
    """Named queries for manifests that must stay, with all they reach and all that refers to them."""

    def __init__(self) -> None:
        self._queries: dict[str, Callable[[], RootQuery]] = {}

    def register(self, name: str, query: Callable[[], RootQuery]) -> None:
        """Add a kind of root, such as `releases`. Raises ValueError for a name that is taken."""
        if name in self._queries:
            raise ValueError(f"there is a retention root {name} already")
        self._queries[name] = query

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds of roots, in the order of registration."""
        return tuple(self._queries)

    def all(self, tx: Tx) -> Iterator[tuple[str, str, Digest]]:
        """Give (kind, repository, digest) of every root, as `tx` sees them."""
        for name, query in self._queries.items():
            for repository, digest in tx.connection().execute(query()):
                yield name, repository, Digest(digest)

    def of(self, tx: Tx, repository: str) -> set[str]:
        """Give the digests of all roots of one repository, as `tx` sees them."""
        found: set[str] = set()
        for query in self._queries.values():
            agent, digest = (roots := query().subquery()).c
            found.update(
                tx.connection().execute(select(digest).select_from(roots).where(agent == repository)).scalars()
            )
        return found
