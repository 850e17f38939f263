"""The stations of a watch: what the data bring, what the station files say of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lithoscope.association import SearchGround, search_ground
from lithoscope.constants import NS_PER_S
from lithoscope.errors import ConfigError
from lithoscope.location import NetworkLocator, StationTerms, read_station_terms
from lithoscope.pipeline.live import rehearsal
from lithoscope.pipeline.live.aside import Aside
from lithoscope.pipeline.live.spool import Spool
from lithoscope.pipeline.prior import build_prior
from lithoscope.pipeline.run import velocity_model
from lithoscope.pipeline.settings import RunSettings
from lithoscope.pipeline.stages import site_positions
from lithoscope.pipeline.tables import stack_problems
from lithoscope.schema import CHANNELS, PROBLEMS, STATIONS
from lithoscope.stations import Inventory, preferred_stations, read_stations


class Network:
    """Stations seen so far, the ones picked on, and where they are.

    Parameters
    ----------
    paths
        Station files.
    settings
        Configuration of the run.

    Raises
    ------
    ConfigError
        If the configuration asks for what only a finished run can have.

    Attributes
    ----------
    locator
        What locates events.
    picked
        Stations to pick on: those with coordinates.
    version
        Counts the times that the stations changed.
    """

    def __init__(self, paths: Sequence[Path], settings: RunSettings) -> None:
        self.paths = list(paths)
        self.settings = settings
        self.model = velocity_model(settings.model)
        self.prior = build_prior(settings.prior)
        self.terms = _terms(settings.location.station_terms)
        self.inventory = Inventory(STATIONS.empty(), CHANNELS.empty(), {}, PROBLEMS.empty())
        self.sites = STATIONS.empty()
        self._ground: SearchGround | None = None
        self.picked: list[str] = []
        self.version = 0
        self.locator = self._locator(self.sites)
        self._known: list[str] = []
        self._channels: dict[str, pd.DataFrame] = {}

    def update(self, spool: Spool) -> pd.DataFrame | None:
        """Take in new stations; return PROBLEMS, or None if there are none that are new."""
        codes = spool.stations()
        if codes == self._known:
            return None
        self._known = codes
        self.version += 1
        self._channels.clear()
        archive = spool.archive(codes)
        self.inventory = read_stations(self.paths, self.settings.stations, codes=codes)
        chosen, about = preferred_stations(archive)
        self.sites = site_positions(self.inventory, chosen, archive.span_ns()[0])
        self.locator = self._locator(self.sites)
        self.picked = self.sites["station"].tolist()
        placed = set(self.picked)
        missing = [
            {
                "what": station,
                "problem": "no coordinates",
                "detail": "the station file(s) do not name it, or not for this time",
                "action": "skipped",
            }
            for station in chosen
            if station not in placed
        ]
        self._ground = None
        return stack_problems([self.inventory.problems, about, PROBLEMS.table(missing)])

    def renew(self) -> None:
        """Make the tables that others were taken from anew.

        A table of pandas keeps a reference to each part that was ever taken from it, also when the
        part is gone.
        """
        self._channels.clear()
        self.sites = self.sites.copy()

    def _locator(self, sites: pd.DataFrame) -> NetworkLocator:
        how = self.settings.location
        return NetworkLocator(sites, self.model, how, prior=self.prior, terms=self.terms)

    @property
    def ground(self) -> SearchGround | None:
        """Where events are sought; made when it is first asked for, None without stations."""
        if self._ground is None and len(self.sites):
            self._ground = search_ground(self.sites, self.model, self.settings.association)
            self._ground.reserve()
        return self._ground

    def expected(self) -> pd.DataFrame:
        """Return the stations: those seen so far, or those of the station files (STATIONS).

        Raises
        ------
        StationError
            If a file cannot be read.
        """
        if len(self.sites):
            return self.sites
        found = read_stations(self.paths, self.settings.stations).stations
        return found.drop_duplicates("station").sort_values("station", ignore_index=True)

    def rehearse(self, beside: Aside) -> None:
        """Work out travel times to the stations, and load code, before data come; here and beside.

        Nothing is done for files that list more stations than a network has.

        Raises
        ------
        StationError, ConfigError, ModelError
            If the station files, the region or the model cannot be used.
        """
        sites = self.expected()
        if not rehearsal.is_network(sites):
            return
        search = sites, self.model, self.settings.association
        if beside.apart:
            beside.submit(rehearsal.seek_once, *search)
        rehearsal.seek_once(*search)
        rehearsal.locate_once(self._locator(sites), sites)

    def channels(self, station: str) -> pd.DataFrame:
        if station not in self._channels:
            table = self.inventory.channels
            self._channels[station] = CHANNELS.check(table[table["station"] == station])
        return self._channels[station]

    @property
    def longest_s(self) -> float:
        """Longest travel time from the region of events to a station, s."""
        return self.ground.longest_s if self.ground else 0.0

    @property
    def reach_ns(self) -> int:
        return round(self.longest_s * NS_PER_S)


def _terms(choice: str) -> StationTerms | None:
    if choice == "none":
        return None
    if choice == "estimate":
        raise ConfigError(
            "location.station_terms = 'estimate' needs all events of a finished run; for a watch "
            "add --set location.station_terms=RUN/station_terms.csv of such a run, or =none"
        )
    return read_station_terms(Path(choice))
