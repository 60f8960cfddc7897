"""The database: SQLite (WAL) or PostgreSQL by URL, one transaction for each decision.

A transaction that writes must append to the audit log, or it does not commit: `begin` checks it, so that no write path
can be added without its entry. What is no state of the registry (unfinished uploads) is written through `scratch`, and
what the log notes of itself (which entry has which index, who integrates) through `bookkeeping`.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy
from sqlalchemy import Engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session as OrmSession
from sqlmodel import Session, SQLModel

from tidegate.errors import InvalidInput, Unreachable
from tidegate_registry.bell import Bell

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

Tx = Session

SQLITE_BUSY_MILLISECONDS = 15_000  # longer than any one transaction here by three orders of magnitude
POSTGRES_LOCK_MILLISECONDS = 15_000
POSTGRES_STATEMENT_MILLISECONDS = 30_000
POSTGRES_DISK_FULL = "53100"  # Source: PostgreSQL, appendix A, error codes
# a server that the network has lost is given up after about as long as a statement may take. Source: libpq, 34.1.2
POSTGRES_KEEPALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": POSTGRES_STATEMENT_MILLISECONDS,
}
POSTGRES_IDLE_SECONDS = 1.0  # a server that restarts within it costs those that come then an answer
POOL_CONNECTIONS = 40  # as many as there are threads for handlers, see starlette.concurrency

# unfinished uploads, who relies on which blob, what somebody's last token said, whether an object is beside the log:
# what came of it is an entry, each request for it is not
SCRATCH = frozenset({"upload", "upload_part", "blob_claim", "caller_claims", "log_object"})

# what the log notes of itself: an entry about each would never come to an end. Of audit_event it may set the index of
# entries that have none, which audit/sequence.py does
BOOKKEEPING = frozenset(
    {"log_state", "leadership", "log_search", "log_indexed", "log_times", "summary_cursor", "audit_event.idx"}
)

_WROTE, _AUDITED = "tidegate.wrote", "tidegate.audited"
# a statement that begins with anything else but these, SELECT, and what is about the transaction, counts as writing
_WRITING = re.compile(
    r"(?!\s*(?:SELECT|PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET|SHOW|VALUES|EXPLAIN)\b)"
    r"(?!\s*WITH\b(?!.*\b(?:INSERT|UPDATE|DELETE)\b))"
    r"\s*(?:(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE)\s+\"?([a-z_0-9]+))?",
    re.IGNORECASE | re.DOTALL,
)
# an update of that one column
_ONE_COLUMN = re.compile(r"\s*UPDATE\s+audit_event\s+SET\s+(idx|body)\s*=[^,]+?\b(?:WHERE|FROM)\b", re.DOTALL)
_READ_ONLY, _PASSING = "tidegate_read_only", "tidegate_passing"


class DatabaseUnavailable(Unreachable):
    """The database did not answer."""

    code = "database-unavailable"


class DatabaseFull(DatabaseUnavailable):
    """The database has no room left."""

    code = "database-full"


class DatabaseUrlInvalid(InvalidInput):
    """Not a URL of a database we know."""

    code = "database-url-invalid"


class NotAudited(AssertionError):
    """A transaction wrote without appending to the audit log. A fault of ours, never of a caller."""


class NestedTransaction(AssertionError):
    """A transaction was begun within another one, whose end it would wait for. A fault of ours, never of a caller."""


class Db:
    """The engine, and the ways to use it: `begin` (decide and write), `read`, `scratch`, `bookkeeping`."""

    def __init__(self, url: str) -> None:
        parsed = _parse_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = _sqlite_engine(parsed) if self.is_sqlite else _postgres_engine(parsed)
        _watch_writes(self.engine)
        self._readers = self.engine.execution_options(**{_READ_ONLY: True})
        self._passing = self.engine.execution_options(**{_PASSING: True})
        # SQLite has one writer at a time; the others sleep for up to 100 ms before they ask it again
        self._turns = threading.Lock() if self.is_sqlite else None
        self._holder: int | None = None
        self.entries_written = Bell()
        self.held: Callable[[], Unreachable] | None = None  # makes the reason for which nothing may be written now

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """Open the one transaction of a decision: what is read in it is what is judged. Commits at the end.

        Raises NotAudited, and writes nothing, where something was written but `audit.append` was not called; and what
        `held` makes, if it is set.
        """
        if self.held is not None:
            raise self.held()
        with self._turn(), self._session(self.engine) as tx:
            yield tx
            tx.flush()
            if written(tx) - SCRATCH and not tx.info.get(_AUDITED):
                raise NotAudited(f"a transaction wrote {', '.join(sorted(written(tx)))} without an audit entry")
            tx.commit()
        if tx.info.get(_AUDITED):
            self.entries_written.ring()

    @contextmanager
    def scratch(self, *, durable: bool = True) -> Iterator[Tx]:
        """Open a transaction for what is no state of the registry and gets no audit entry: the tables of SCRATCH.

        Not `durable`, on SQLite: it holds for all that asks the database, and may be lost when the machine loses power.
        A durable transaction that follows makes it so as well.
        Raises NotAudited, and writes nothing, where another table was written.
        """
        with self._unaudited(SCRATCH, durable=durable) as tx:
            yield tx

    @contextmanager
    def bookkeeping(self, *, durable: bool = True, corrects: bool = False) -> Iterator[Tx]:
        """Open a transaction for what the log notes of itself: the tables of BOOKKEEPING. For `audit` alone.

        `corrects`: it may also give an entry that was altered the bytes of the published log, as a restore does.
        `durable` as with `scratch`. Raises NotAudited, and writes nothing, where another table was written.
        """
        with self._unaudited(BOOKKEEPING | ({"audit_event.body"} if corrects else set()), durable=durable) as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """Open a consistent view for reading; nothing is committed."""
        with self._session(self._readers) as tx:
            yield tx

    @contextmanager
    def connect(self) -> Iterator[sqlalchemy.Connection]:
        """Open a transaction without the audit check, for changes of the schema alone."""
        with _translated(), self.engine.begin() as connection:
            yield connection

    def ping(self) -> None:
        """Raise DatabaseUnavailable unless the database answers."""
        with self.read() as tx:
            tx.connection().execute(sqlalchemy.text("SELECT 1"))

    def create_all(self) -> None:
        """Make all tables as the models say, for tests; the product migrates (`tidegate_registry.migrations`)."""
        SQLModel.metadata.create_all(self.engine)

    def close(self) -> None:
        """Close all connections; one that a thread still holds, when it is given back."""
        event.listen(self.engine.pool, "checkin", lambda _, record: record.invalidate())
        self.engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the other writers of this process. Those of other processes are waited for by SQLite."""
        if self._turns is None:
            yield
            return
        if self._holder == threading.get_ident():
            raise NestedTransaction("a transaction that writes was begun within another one of the same thread")
        if not self._turns.acquire(timeout=SQLITE_BUSY_MILLISECONDS / 1000):
            raise DatabaseUnavailable("the database did not answer", hint="try again in a moment")
        self._holder = threading.get_ident()
        try:
            yield
        finally:
            self._holder = None
            self._turns.release()

    @contextmanager
    def _unaudited(self, tables: frozenset[str], *, durable: bool) -> Iterator[Tx]:
        with self._turn(), self._session(self.engine if durable else self._passing) as tx:
            yield tx
            tx.flush()
            if not written(tx) <= tables:
                others = ", ".join(sorted(written(tx) - tables))
                raise NotAudited(f"a transaction without an audit entry wrote {others}")
            tx.commit()

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Tx]:
        with _translated(), Session(engine, expire_on_commit=False) as tx:
            yield tx


def _parse_url(url: str) -> sqlalchemy.URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = sqlalchemy.URL.create("unreadable")
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        if find_spec("psycopg") is None:
            raise DatabaseUrlInvalid("PostgreSQL needs its driver", hint="pip install 'tidegate-registry[postgresql]'")
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "sqlite":  # the URL itself is not shown: it may hold a password
        raise DatabaseUrlInvalid(
            "database_url is not the URL of a database we know",
            found=parsed.drivername,
            expected="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE",
            hint="set TIDEGATE_REGISTRY_DATABASE_URL",
        )
    return parsed


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        if _is_full(error):
            raise DatabaseFull("the database has no room left", hint="tell the operator") from error
        raise DatabaseUnavailable("the database did not answer", hint="try again in a moment") from error
    except DataError as error:  # PostgreSQL's text cannot hold U+0000, which a URL can; SQLite finds nothing instead
        raise InvalidInput("a value cannot be text", code="text-unstorable", expected="text without U+0000") from error


def _is_full(error: SQLAlchemyError) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else None
    return (
        getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(cause, "sqlstate", None) == POSTGRES_DISK_FULL
    )


def mark_audited(tx: Tx) -> None:
    """Note that `tx` has an audit entry. For `audit.append` alone."""
    tx.info[_AUDITED] = True


def is_audited(tx: Tx) -> bool:
    """Whether `tx` has an audit entry."""
    return bool(tx.info.get(_AUDITED))


def written(tx: OrmSession) -> set[str]:
    """Give the names of the tables that `tx` has written, by whatever way: the statements themselves are looked at."""
    tables: set[str] = tx.connection().info.setdefault(_WROTE, set())
    return tables


def _watch_writes(engine: Engine) -> None:
    """Note of each statement which table it writes, so that none gets past the guard of `begin`."""

    @event.listens_for(engine, "begin")
    def _forget(connection: sqlalchemy.Connection) -> None:
        connection.info.pop(_WROTE, None)

    @event.listens_for(engine, "before_cursor_execute")
    def _note(connection: sqlalchemy.Connection, _: object, statement: str, *__: object) -> None:
        found = _WRITING.match(statement)
        if found is not None:
            column = _ONE_COLUMN.match(statement)
            table = found[1] or "unknown"
            connection.info.setdefault(_WROTE, set()).add(table if column is None else f"{table}.{column[1]}")


def insert_once(tx: Tx, row: SQLModel) -> bool:
    """Insert `row` unless its primary key is there; say whether it was inserted."""
    dialect = sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(type(row)).values(**row.model_dump()).on_conflict_do_nothing()
    before = set(written(tx))
    count = tx.connection().execute(statement, execution_options={"preserve_rowcount": True}).rowcount
    if count not in (0, 1):
        raise RuntimeError(f"the driver says that one insert made {count} rows")
    if not count:
        written(tx).intersection_update(before)  # the statement did nothing
    return bool(count)


def insert_new(tx: Tx, rows: Sequence[SQLModel], key: str) -> set[str]:
    """Insert those of `rows`, all of one table, whose primary key is not there; give their values of the column `key`.

    In the order of that column, so that no two transactions wait for each other.
    """
    if not rows:
        return set()
    table = type(rows[0])
    dialect = sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).on_conflict_do_nothing().returning(sqlalchemy.inspect(table).columns[key])
    values = sorted((row.model_dump() for row in rows), key=lambda each: str(each[key]))
    before = set(written(tx))
    inserted = set(tx.connection().execute(statement, values).scalars())
    if not inserted:
        written(tx).intersection_update(before)  # the statement did nothing
    return inserted


def _sqlite_engine(url: sqlalchemy.URL) -> Engine:
    engine = sqlalchemy.create_engine(url, pool_size=POOL_CONNECTIONS, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # sqlite3: we say BEGIN, not the driver
        cursor = connection.cursor()
        for pragma in (
            "journal_mode = WAL",
            "foreign_keys = ON",
            f"busy_timeout = {SQLITE_BUSY_MILLISECONDS}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: sqlalchemy.Connection) -> None:
        # IMMEDIATE takes the write lock first: two that read, decide and write never both read the old state
        options = connection.get_execution_options()
        if options.get(_READ_ONLY):
            connection.exec_driver_sql("BEGIN")
            return
        # FULL: an acknowledged release survives a power cut
        connection.exec_driver_sql(f"PRAGMA synchronous = {'NORMAL' if options.get(_PASSING) else 'FULL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgres_engine(url: sqlalchemy.URL) -> Engine:
    options = f"-c lock_timeout={POSTGRES_LOCK_MILLISECONDS} -c statement_timeout={POSTGRES_STATEMENT_MILLISECONDS}"
    engine = sqlalchemy.create_engine(
        url,
        pool_size=POOL_CONNECTIONS,
        isolation_level="READ COMMITTED",  # what is read after a lock must be what the one before left
        connect_args={"options": options, "connect_timeout": 10, **POSTGRES_KEEPALIVE},
    )
    _ping_the_idle(engine)
    return engine


def _ping_the_idle(engine: Engine) -> None:
    """Try a connection that lay idle before it is used: the server may have gone since, or dropped it.

    SQLAlchemy's own pre-ping asks each time, which is a fifth of a transaction that only appends an entry.
    """
    used = "tidegate_used_at"

    @event.listens_for(engine, "connect")
    @event.listens_for(engine, "checkin")
    def _note(_: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info[used] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        if time.monotonic() - record.info.get(used, 0.0) < POSTGRES_IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError("the connection was lost while it lay idle") from error
