"""The catalogue: store, formats and comparison."""

from lithoscope.catalog.compare import Comparison, compare
from lithoscope.catalog.export import FORMATS, export
from lithoscope.catalog.flat import read_table, read_tables, write_table
from lithoscope.catalog.quakeml_words import EVENT_TYPES
from lithoscope.catalog.reference import read_catalog, read_reference
from lithoscope.catalog.store import Store
from lithoscope.catalog.store_query import EventQuery
from lithoscope.catalog.store_versions import Change, Judged
from lithoscope.catalog.tables import SCHEMAS, Catalog, Evaluation

__all__ = [
    "EVENT_TYPES",
    "FORMATS",
    "SCHEMAS",
    "Catalog",
    "Change",
    "Comparison",
    "Evaluation",
    "EventQuery",
    "Judged",
    "Store",
    "compare",
    "export",
    "read_catalog",
    "read_reference",
    "read_table",
    "read_tables",
    "write_table",
]
