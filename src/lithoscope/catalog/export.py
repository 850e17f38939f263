"""One entry for all export formats."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from lithoscope.catalog import flat, phases
from lithoscope.catalog.tables import Catalog
from lithoscope.errors import ConfigError, StorageError

Format = Literal["quakeml", "csv", "parquet", "geojson", "nlloc", "hypodd"]
FORMATS: tuple[str, ...] = get_args(Format)
# What a file is called when only its folder is given.
FILE_NAMES = {
    "quakeml": "catalogue.xml",
    "geojson": "events.geojson",
    "nlloc": "phases.obs",
    "hypodd": "phases.pha",
}


def export(catalog: Catalog, path: str | Path, format: Format) -> list[Path]:
    """Write ``catalog`` in one of the formats of the field.

    Parameters
    ----------
    catalog
        What to write.
    path
        For ``csv`` and ``parquet`` the folder that gets one file a table; else the file, or (a
        path without suffix, or a folder) the folder that gets ``catalogue.xml``,
        ``events.geojson``, ``phases.obs`` or ``phases.pha``. Missing folders are made; existing
        files are replaced only once the new one is complete.
    format
        ``quakeml`` (1.2, events with their picks, arrivals, magnitudes), ``csv``, ``parquet``,
        ``geojson`` (RFC 7946), ``nlloc`` (NonLinLoc phases and stations), ``hypodd`` (ph2dt input).

    Returns
    -------
    The files written.

    Raises
    ------
    ConfigError
        For an unknown format.
    StorageError
        If a file cannot be written.
    DataError
        If the catalogue holds something the format cannot.
    """
    path = Path(path)
    if format not in FORMATS:
        raise ConfigError(f"format = '{format}': choose one of {', '.join(FORMATS)}")
    if format in ("csv", "parquet"):
        if path.is_file():
            raise StorageError(f"cannot write {path}: {format} needs a folder and this is a file")
        return (flat.write_csv if format == "csv" else flat.write_parquet)(catalog, path)
    if path.is_dir() or not path.suffix:
        path = path / FILE_NAMES[format]
    if format == "geojson":
        return flat.write_geojson(catalog, path)
    if format == "nlloc":
        return phases.write_nlloc(catalog, path)
    if format == "hypodd":
        return phases.write_hypodd(catalog, path)
    from lithoscope.catalog.quakeml_write import write_quakeml  # ObsPy takes a second to load

    return write_quakeml(catalog, path)
