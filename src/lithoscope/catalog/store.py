"""The catalogue in a database: SQLite or PostgreSQL by the same SQLAlchemy Core code.

Table columns are generated from `lithoscope.schema`. Times are integers, nanoseconds since 1970
UTC (column name + ``_ns``), because neither database keeps nanoseconds itself; NaN and NaT are
NULL. ``row`` keeps the order of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from lithoscope.catalog.tables import SCHEMAS, Catalog
from lithoscope.errors import StorageError
from lithoscope.schema import Schema

SCHEMA_VERSION = 1
_CHUNK = 20_000  # rows a statement; bounds the memory of one write

_TYPES: dict[str, Any] = {
    "text": sa.Text,
    "float": sa.Double,
    "integer": sa.BigInteger,
    "boolean": sa.Boolean,
    "time": sa.BigInteger,
}


def _stored_name(name: str, kind: str) -> str:
    return f"{name}_ns" if kind == "time" else name


def _tables(metadata: sa.MetaData) -> dict[str, sa.Table]:
    tables = {}
    for name, schema in SCHEMAS.items():
        columns = [
            sa.Column(_stored_name(c.name, c.kind), _TYPES[c.kind], comment=c.meaning or None)
            for c in schema.columns
        ]
        row = sa.Column("row", sa.BigInteger, primary_key=True, autoincrement=False)
        tables[name] = sa.Table(name, metadata, row, *columns)
    return tables


class Store:
    """A catalogue in a database.

    Parameters
    ----------
    url
        SQLAlchemy URL (``sqlite:////full/path.sqlite``, ``postgresql+psycopg://user@host/name``)
        or the path of an SQLite file. One database (for PostgreSQL: one search path) holds one
        catalogue.

    Raises
    ------
    StorageError
        On use, if the database cannot be reached, read or written.
    """

    def __init__(self, url: str | Path) -> None:
        self.url = str(url)
        text = self.url if "://" in self.url else f"sqlite:///{self.url}"
        if text.startswith(("postgresql://", "postgres://")):
            text = "postgresql+psycopg://" + text.split("://", 1)[1]
        try:
            self._engine = sa.create_engine(text, poolclass=NullPool)
        except (SQLAlchemyError, ImportError) as error:
            raise StorageError(f"cannot use the store {self._name}: {_reason(error)}") from None
        self._file: Path | None = None
        if self._engine.dialect.name == "sqlite":
            self._file = Path(self._engine.url.database or "")
            _own_transactions(self._engine)
        self._metadata = sa.MetaData()
        self._version = sa.Table(
            "lithoscope_store",
            self._metadata,
            sa.Column("schema_version", sa.BigInteger, primary_key=True, autoincrement=False),
        )
        self._tables = _tables(self._metadata)

    @property
    def _name(self) -> str:
        try:
            return str(sa.make_url(self.url).render_as_string(hide_password=True))
        except SQLAlchemyError:
            return self.url

    def write(self, catalog: Catalog) -> None:
        """Replace what the store holds by ``catalog`` in one transaction.

        A reader or a kill sees the old catalogue or the new one, never a mixture; writing the
        same catalogue again changes nothing.

        Raises
        ------
        StorageError
            If the database cannot be written (no permission, disk full, damaged file).
        """
        if self._file is not None and not self._file.parent.is_dir():
            raise StorageError(f"cannot write the store {self._name}: its folder does not exist")
        with self._transaction("write") as connection:
            self._prepare(connection)
            for name, frame in catalog.tables():
                connection.execute(sa.delete(self._tables[name]))
                for start in range(0, len(frame), _CHUNK):
                    rows = _to_rows(frame.iloc[start : start + _CHUNK], SCHEMAS[name], start)
                    connection.execute(sa.insert(self._tables[name]), rows)

    def read(self) -> Catalog:
        """Return the catalogue, equal to the one written.

        Raises
        ------
        StorageError
            If there is no store, it is damaged, or a newer Lithoscope wrote it.
        """
        return Catalog(**self._read(list(SCHEMAS)))

    def table(self, name: str) -> pd.DataFrame:
        """Return one table of the catalogue (``events``, ``picks``, ...) without the others.

        Raises
        ------
        StorageError
            As `read`, or if the catalogue has no table of that name.
        """
        if name not in SCHEMAS:
            raise StorageError(f"the store has no table '{name}'; it has {', '.join(SCHEMAS)}")
        return self._read([name])[name]

    def _read(self, names: list[str]) -> dict[str, pd.DataFrame]:
        if self._file is not None and not self._file.is_file():
            raise StorageError(f"cannot read the store {self._name}: no such file")
        with self._transaction("read") as connection:
            self._check_version(connection)
            return {name: self._read_table(connection, name) for name in names}

    def _read_table(self, connection: sa.Connection, name: str) -> pd.DataFrame:
        table = self._tables[name]
        present = {c["name"] for c in sa.inspect(connection).get_columns(name)}
        known = [c for c in table.columns if c.name in present]
        result = connection.execute(sa.select(*known).order_by(table.c.row))
        rows = result.fetchall()
        return _from_rows(rows, [c.name for c in known], SCHEMAS[name])

    def _prepare(self, connection: sa.Connection) -> None:
        """Make the tables; those that another version laid out differently are made anew."""
        inspector = sa.inspect(connection)
        for table in self._metadata.sorted_tables:
            if inspector.has_table(table.name):
                present = [c["name"] for c in inspector.get_columns(table.name)]
                if present != [c.name for c in table.columns]:
                    connection.execute(sa.schema.DropTable(table))
        self._metadata.create_all(connection)
        found = connection.execute(sa.select(self._version.c.schema_version)).scalars().all()
        if list(found) != [SCHEMA_VERSION]:
            connection.execute(sa.delete(self._version))
            connection.execute(sa.insert(self._version), [{"schema_version": SCHEMA_VERSION}])

    def _check_version(self, connection: sa.Connection) -> None:
        if not sa.inspect(connection).has_table(self._version.name):
            raise StorageError(f"{self._name} is a database but holds no Lithoscope catalogue")
        found = connection.execute(sa.select(sa.func.max(self._version.c.schema_version))).scalar()
        if found is None or found > SCHEMA_VERSION:
            raise StorageError(
                f"{self._name} has schema version {found}, this Lithoscope reads up to "
                f"{SCHEMA_VERSION}; use a newer Lithoscope"
            )

    @contextmanager
    def _transaction(self, action: str) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError, ValueError) as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"cannot {action} the store {self._name}: {_reason(error)}"
            ) from None


def _own_transactions(engine: sa.Engine) -> None:
    """Let SQLAlchemy, not the driver, begin transactions, so that they cover DDL too."""

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 30000")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def _reason(error: BaseException) -> str:
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
    }
    for key, remedy in remedies.items():
        if key in first:
            return f"{first}; {remedy}"
    return first


def _to_rows(frame: pd.DataFrame, schema: Schema, first_row: int) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {"row": list(range(first_row, first_row + len(frame)))}
    for column in schema.columns:
        values = frame[column.name]
        if column.kind == "time":
            plain = values.astype("int64").to_numpy().astype(object)
            plain[values.isna().to_numpy()] = None
        elif column.kind == "float":
            plain = values.to_numpy().astype(object)
            plain[values.isna().to_numpy()] = None
        else:
            plain = values.to_numpy(object)
        columns[_stored_name(column.name, column.kind)] = plain.tolist()
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _from_rows(rows: Any, names: list[str], schema: Schema) -> pd.DataFrame:
    data = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
    if not data:
        return schema.empty()
    out = {}
    for column in schema.columns:
        stored = _stored_name(column.name, column.kind)
        if stored not in data:
            continue
        values = data[stored]
        if column.kind == "time":
            nat = np.iinfo("int64").min
            whole = np.array([nat if v is None else v for v in values], "int64")
            out[column.name] = pd.Series(pd.to_datetime(whole.view("M8[ns]"), utc=True))
        elif column.kind == "float":
            out[column.name] = pd.Series([np.nan if v is None else v for v in values], dtype=float)
        else:
            out[column.name] = pd.Series(list(values), dtype=object)
    return schema.check(pd.DataFrame(out))
