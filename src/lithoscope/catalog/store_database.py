"""The connection of a store: transactions, locks, schema versions and errors in one line.

Writers take turns (SQLite ``BEGIN IMMEDIATE``, PostgreSQL a transaction-level advisory lock of the
schema), so every change sees the one before whole and sequence numbers become visible in order.
Readers never wait for a writer: SQLite's write-ahead log and PostgreSQL's ``REPEATABLE READ`` show
them the state at their first statement.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from lithoscope.catalog.store_migrations import SCHEMA_VERSION, upgrade
from lithoscope.catalog.store_statements import Statements
from lithoscope.catalog.store_tables import Layout, stored_name
from lithoscope.catalog.tables import SCHEMAS
from lithoscope.errors import LithoscopeError, StorageError

# A service has tens of threads; each holds a connection while it reads.
_POOL_SIZE = 5
_POOL_OVERFLOW = 60
_WAIT_S = 30
_LOCK_CLASS = 0x6C697468  # "lith": what else runs in the server takes other advisory locks


class Database:
    """Connections to one database that holds one catalogue.

    Parameters
    ----------
    url
        SQLAlchemy URL, or the path of an SQLite file.

    Raises
    ------
    StorageError
        If the URL is none or its driver is not installed; on use, if the database cannot be
        reached, read or written, or a newer Lithoscope wrote it.
    """

    def __init__(self, url: str | Path) -> None:
        self.url = str(url)
        text = self.url if "://" in self.url else f"sqlite:///{self.url}"
        if text.startswith(("postgresql://", "postgres://")):
            text = "postgresql+psycopg://" + text.split("://", 1)[1]
        self.layout = Layout()
        self.statements = Statements(self.layout)
        self.file: Path | None = None
        try:
            self.engine = self._make_engine(text)
        except (SQLAlchemyError, ImportError) as error:
            raise StorageError(f"cannot use the store {self.name}: {reason(error)}") from None
        self._pid = os.getpid()
        self._prepared = False  # by this process
        self._exists = False
        self._columns: dict[str, set[str]] = {}
        # A pool left to the garbage collector would leave its connections open until then.
        self._finalizer = weakref.finalize(self, self.engine.dispose)

    def _make_engine(self, text: str) -> sa.Engine:
        url = sa.make_url(text)
        sqlite = url.get_backend_name() == "sqlite"
        if sqlite:
            self.file = Path(url.database or "")
            url = _unwritable(url, self.file)
        # Half the default of statements kept: each takes tens of kilobytes.
        more = {"connect_args": {"cached_statements": 64}} if sqlite else {}
        engine = sa.create_engine(
            url,
            query_cache_size=200,
            **more,
            poolclass=QueuePool,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_OVERFLOW,
            pool_timeout=_WAIT_S,
            pool_pre_ping=not sqlite,
        )
        if sqlite:
            _own_transactions(engine)
        return engine

    @property
    def name(self) -> str:
        """The URL without its password."""
        try:
            return str(sa.make_url(self.url).render_as_string(hide_password=True))
        except SQLAlchemyError:
            return self.url

    @property
    def is_sqlite(self) -> bool:
        return self.file is not None

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[tuple[sa.Connection, int]]:
        """Give a connection that sees one state of the store, and the store's schema version."""
        if self.file is not None and not self.file.is_file():
            raise StorageError(f"cannot read the store {self.name}: no such file")
        with self._transaction("read") as connection:
            found = self._found_version(connection)
            if found is None:
                raise StorageError(f"{self.name} is a database but holds no Lithoscope catalogue")
            yield connection, found

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give the connection of the only writer; the store is made or upgraded before."""
        if self.file is not None and not self.file.parent.is_dir():
            raise StorageError(f"cannot write the store {self.name}: its folder does not exist")
        if self.file is not None and not self._prepared:
            self._use_write_ahead_log()
        with self._transaction("write") as connection:
            if self._prepared:
                self._found_version(connection)  # a newer Lithoscope may have been here
            else:
                self._prepare(connection)
            yield connection
        self._prepared = True

    @contextmanager
    def _transaction(self, action: str) -> Iterator[sa.Connection]:
        if self._pid != os.getpid():  # connections of the parent process are not ours to use
            self.engine.dispose(close=False)
            self._pid = os.getpid()
        options: dict[str, Any] = {"lithoscope_write": action == "write"}
        if action == "read" and not self.is_sqlite:
            options["isolation_level"] = "REPEATABLE READ"
        try:
            with self.engine.execution_options(**options).begin() as connection:
                if action == "write" and not self.is_sqlite:
                    _wait_for_turn(connection)
                yield connection
        except (SQLAlchemyError, OSError, ValueError) as error:
            if isinstance(error, LithoscopeError):
                raise
            raise StorageError(f"cannot {action} the store {self.name}: {reason(error)}") from None

    def _use_write_ahead_log(self) -> None:
        """Let readers and a writer of an SQLite file work at the same time.

        Where that fails (another program holds the file, or may not write) the rollback journal
        stays: correct too, but readers wait for writers. The write itself says what is wrong.
        """
        try:
            raw = self.engine.raw_connection()
        except SQLAlchemyError:
            return
        try:
            raw.cursor().execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error:
            return
        finally:
            raw.close()

    def _found_version(self, connection: sa.Connection) -> int | None:
        table = self.layout.schema_version
        if not self._exists:
            self._exists = sa.inspect(connection).has_table(table.name)
        if not self._exists:
            return None
        found = connection.execute(self.statements.schema_version).scalar()
        if found is None or found > SCHEMA_VERSION:
            raise StorageError(
                f"{self.name} has schema version {found}, this Lithoscope knows up to "
                f"{SCHEMA_VERSION}; use a newer Lithoscope"
            )
        return int(found)

    def columns(self, connection: sa.Connection, name: str) -> list[str]:
        """Return the stored columns of a table of the catalogue that the database has.

        A store that an earlier release wrote may lack columns that its schema version allows.
        """
        if name not in self._columns:
            found = sa.inspect(connection).get_columns(name)
            self._columns[name] = {column["name"] for column in found}
        stored = (stored_name(c.name, c.kind) for c in SCHEMAS[name].columns)
        return [column for column in stored if column in self._columns[name]]

    def _prepare(self, connection: sa.Connection) -> None:
        """Make the tables, or bring those of an older version up to date, nothing lost."""
        self._columns.clear()
        found = self._found_version(connection)
        names = set(sa.inspect(connection).get_table_names())
        if found is None:
            taken = sorted(names & set(self.layout.metadata.tables))
            if taken:
                raise StorageError(
                    f"{self.name} has a table '{taken[0]}' of another program; give Lithoscope a "
                    "database or schema of its own"
                )
            self.layout.metadata.create_all(connection)
            connection.execute(
                sa.insert(self.layout.schema_version), [{"schema_version": SCHEMA_VERSION}]
            )
            return
        if found < SCHEMA_VERSION:
            upgrade(connection, found)
        self._add_columns(connection)
        self._add_indices(connection)

    def _add_indices(self, connection: sa.Connection) -> None:
        """Add indices that later releases have: older ones are faster for them, no less right."""
        inspector = sa.inspect(connection)
        for table in self.layout.metadata.tables.values():
            present = {index["name"] for index in inspector.get_indexes(table.name)}
            for index in table.indexes:
                if index.name not in present:
                    index.create(connection)

    def _add_columns(self, connection: sa.Connection) -> None:
        """Add columns that the schema has gained; rows of before have NULL there."""
        inspector = sa.inspect(connection)
        for name, table in self.layout.catalog.items():
            present = {c["name"] for c in inspector.get_columns(name)}
            for column in table.columns:
                if column.name not in present:
                    kind = column.type.compile(connection.dialect)
                    connection.exec_driver_sql(
                        f'ALTER TABLE "{name}" ADD COLUMN "{column.name}" {kind}'
                    )


def _unwritable(url: sa.URL, file: Path) -> sa.URL:
    """Return a URL that reads a file in a folder where SQLite could not put its own files."""
    log = file.with_name(file.name + "-wal")
    if not file.is_file() or log.exists() or os.access(file.parent, os.W_OK):
        return url
    return url.set(database=f"file:{file}").update_query_dict(
        {"mode": "ro", "immutable": "1", "uri": "true"}
    )


def _own_transactions(engine: sa.Engine) -> None:
    """Let SQLAlchemy, not the driver, begin transactions, so that they cover DDL too."""

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {1000 * _WAIT_S}")
        connection.execute("PRAGMA synchronous = FULL")
        # Half the default (kB): the system keeps the file's pages anyway.
        connection.execute("PRAGMA cache_size = -1000")
        connection.execute("PRAGMA journal_size_limit = 67108864")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("lithoscope_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _wait_for_turn(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT_S}s'")
    connection.exec_driver_sql(
        f"SELECT pg_advisory_xact_lock({_LOCK_CLASS}, hashtext(current_schema()))"
    )


def reason(error: BaseException) -> str:
    """Return the database's own first line, with a remedy for the common cases."""
    text = str(getattr(error, "orig", None) or error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    remedies = {
        "disk is full": "free space and run again",
        "disk full": "free space and run again",
        "No space left": "free space and run again",
        "readonly database": "no permission to write; choose another place",
        "unable to open": "check the path and its permissions",
        "not a database": "the file is damaged or something else; move it away",
        "malformed": "the file is damaged; move it away and run again",
        "No module named 'psycopg'": "install lithoscope[postgres]",
        "database is locked": "another process writes for too long; try again",
        "lock timeout": "another process writes for too long; try again",
    }
    for key, remedy in remedies.items():
        if key in first:
            return f"{first}; {remedy}"
    return first
