"""What is served: a store, and what is known of the run that filled it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lithoscope.catalog import Store
from lithoscope.errors import DataError, LithoscopeError
from lithoscope.files import storage_error
from lithoscope.pipeline.relocate import Relocator
from lithoscope.pipeline.run import STORE_NAME, velocity_model
from lithoscope.pipeline.rundir import MARKER
from lithoscope.pipeline.settings import RunSettings, load_settings
from lithoscope.service.settings import ServiceSettings
from lithoscope.traveltimes import VelocityModel

#: Where a watch keeps what it receives.
SPOOL = "spool"
_LOG = logging.getLogger("lithoscope.service")


@dataclass(frozen=True)
class Source:
    """A catalogue and the recordings and stations it came from.

    Attributes
    ----------
    store
        The catalogue.
    folder
        The run directory; None for a bare database.
    settings
        What the server was told.
    """

    store: Store
    folder: Path | None
    settings: ServiceSettings

    def marker(self) -> dict[str, Any]:
        """Return what the run directory says of itself; empty without one."""
        if self.folder is None:
            return {}
        try:
            return dict(json.loads((self.folder / MARKER).read_text()))
        except (OSError, ValueError):
            return {}

    @property
    def live(self) -> bool:
        """Whether a watch fills the store."""
        return self.marker().get("status") == "watching"

    @cached_property
    def title(self) -> str:
        """What the catalogue is called."""
        return self.run_settings.output.title

    @cached_property
    def _found_settings(self) -> RunSettings | None:
        try:
            if self.folder is not None and (self.folder / "config.toml").is_file():
                return load_settings(self.folder / "config.toml")
            text = self.store.settings()
            if text is not None:
                return Relocator.of(self.store).settings
        except LithoscopeError as error:  # a run of another version can still be looked at
            _LOG.warning("the configuration of the run is not used: %s", error)
        return None

    @cached_property
    def run_settings(self) -> RunSettings:
        """The configuration of the run, or the defaults."""
        return self._found_settings or RunSettings()

    @cached_property
    def model(self) -> VelocityModel | None:
        """The velocity model of the run, None if it is not known or no longer there."""
        try:
            if self.store.settings() is not None:
                return Relocator.of(self.store).model
            if self._found_settings is not None:
                return velocity_model(self._found_settings.model)
        except LithoscopeError as error:
            _LOG.warning("no predicted arrivals: %s", error)
        return None

    @cached_property
    def terms(self) -> dict[tuple[str, str], float]:
        """Station terms (s) by station and phase that the events were located with."""
        try:
            if self.store.settings() is None:
                return {}
            terms = Relocator.of(self.store).terms
        except LithoscopeError:  # named by `model`
            return {}
        if terms is None:
            return {}
        table = terms.table
        keys = zip(table["station"], table["phase"], strict=True)
        return dict(zip(keys, table["term_s"].astype(float), strict=True))

    def waveforms(self) -> list[Path]:
        """Return the folders of recordings that are there: as told, the spool, or the run's."""
        named = [Path(name) for name in self.settings.waveforms]
        if not named and self.folder is not None and (self.folder / SPOOL).is_dir():
            named = [self.folder / SPOOL]
        named = named or [Path(name) for name in self.marker().get("sources", ())]
        return [path for path in named if path.exists()]

    def station_codes(self) -> list[str]:
        """Return the codes of the stations in the store."""
        return sorted(self.store.table("stations")["station"].unique())

    def station_files(self) -> list[Path]:
        """Return the station files that are there."""
        named = self.settings.stations or tuple(self.marker().get("stations", ()))
        return [path for path in map(Path, named) if path.exists()]


def open_source(settings: ServiceSettings) -> Source:
    """Open a run directory, an SQLite file or a database by its URL.

    Raises
    ------
    DataError
        If the folder holds no run with a catalogue, or a folder or file named by an option is
        not there.
    StorageError
        If the store cannot be read.
    """
    for option, names in (("--waveforms", settings.waveforms), ("--stations", settings.stations)):
        for name in names:
            if not Path(name).exists():
                raise DataError(f"{option} {name}: no such file or folder; check the path")
    folder: Path | None = None
    target: str | Path = settings.source
    if "://" not in settings.source:
        path = Path(settings.source)
        if path.is_dir():
            folder, target = path, _store_of(path)
        elif path.is_file():
            target = path
        else:
            raise DataError(f"'{path}': no such run directory or database; check the path")
    store = Store(target)
    store.table("stations")  # refuse what is no store before the server starts
    return Source(store, folder, settings)


def _store_of(folder: Path) -> str | Path:
    try:
        marker = json.loads((folder / MARKER).read_text())
    except FileNotFoundError:
        raise DataError(f"'{folder}' is no run directory (it has no {MARKER})") from None
    except OSError as error:
        raise storage_error("read", folder / MARKER, error) from None
    except ValueError:
        raise DataError(f"'{folder / MARKER}' is damaged") from None
    if marker.get("store"):
        return str(marker["store"])
    if not (folder / STORE_NAME).exists():
        raise DataError(f"the run in '{folder}' has no catalogue yet; start it first")
    return folder / STORE_NAME
