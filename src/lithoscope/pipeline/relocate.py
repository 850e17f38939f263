"""Locate events again from the database alone: the same settings, model, prior and terms.

A run or a watch leaves in its store the resolved configuration and the contents of the files it
names; `review` and the page's posterior cloud rest on them, on any machine.
"""

from __future__ import annotations

import io
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.catalog import Catalog, Store
from lithoscope.errors import DataError
from lithoscope.location import Located, Prior, StationTerms, locate
from lithoscope.magnitude import moved_magnitudes
from lithoscope.pipeline.prior import build_prior
from lithoscope.pipeline.settings import EngineSettings, RunSettings, render_toml
from lithoscope.schema import ASSIGNMENTS, EVENTS
from lithoscope.traveltimes import VelocityModel, builtin_model, read_velocity_model

_ATTACHED = "attached:"
_TERMS = "station-terms/"
_TERMS_TABLES = ("terms", "anchors", "problems", "factors", "fit")
# What relocation takes from the solution before it: a hypocentre says nothing about these.
_NOT_LOCATED = (
    "magnitude",
    "magnitude_type",
    "magnitude_sigma",
    "n_magnitudes",
    "magnitude_reason",
    "event_type",
    "event_type_probability",
    "event_type_reason",
)


def keep_settings(store: Store, settings: RunSettings, terms: StationTerms | None = None) -> None:
    """Leave in a store what its events are located with.

    Files that the settings name go in by content, so the store holds no path of this machine.

    Parameters
    ----------
    terms
        Station terms in use, None for none.

    Raises
    ------
    DataError
        If a file that the settings name cannot be read.
    StorageError
        If the store cannot be written.
    """
    attachments: dict[str, bytes] = {}

    def attach(path: str) -> str:
        name = Path(path).name
        try:
            attachments[name] = Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"'{path}' cannot be kept in the store: {error.strerror}") from None
        return _ATTACHED + name

    model, prior = settings.model, settings.prior
    if model.path:
        model = model.model_copy(update={"path": attach(model.path)})
    if prior.map_path:
        prior = prior.model_copy(update={"map_path": attach(prior.map_path)})
    location = settings.location
    if location.station_terms not in ("none", "estimate"):
        location = location.model_copy(update={"station_terms": attach(location.station_terms)})
    if terms is not None:
        attachments |= {_TERMS + n: _to_bytes(t) for n, t in terms.to_tables().items()}
    picking = settings.picking
    if picking.model:
        picking = picking.model_copy(update={"model": Path(picking.model).name})
    kept = settings.model_copy(
        update={
            "model": model,
            "prior": prior,
            "location": location,
            "picking": picking,
            "engine": EngineSettings(),  # how the work was spread never changes a result
        }
    )
    text = render_toml(kept)
    if store.settings() != text or any(store.attachment(n) != c for n, c in attachments.items()):
        store.put_settings(text, attachments)


def _to_bytes(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


@dataclass(frozen=True)
class Relocator:
    """What the events of one store are located with.

    Attributes
    ----------
    settings
        Configuration; file names in it are those of attachments.
    model, prior, terms
        As the run had them.
    """

    settings: RunSettings
    model: VelocityModel
    prior: Prior | None
    terms: StationTerms | None

    @classmethod
    def of(cls, store: Store) -> Relocator:
        """Read what `keep_settings` has left in a store.

        Raises
        ------
        DataError
            If there is nothing, or it cannot be read.
        """
        text = store.settings()
        if text is None:
            raise DataError(
                f"{store.database.name} does not say how its events were located; run again with "
                "this version to write it"
            )
        settings: RunSettings = RunSettings.parse(tomllib.loads(text), where="stored settings")
        with tempfile.TemporaryDirectory(prefix="lithoscope-") as folder:
            model, prior = _model(store, settings, folder), _prior(store, settings, folder)
        return cls(settings, model, prior, _terms(store))

    def locate(self, solution: Catalog, n_samples: int = 0) -> Located:
        """Locate one event from the picks that its arrivals name.

        Parameters
        ----------
        n_samples
            Posterior samples wanted; 0 for none.

        Raises
        ------
        DataError
            If the event cannot be located (too few picks); the reason is named.
        """
        settings = self.settings.location
        if self.terms is None:
            settings = settings.model_copy(update={"station_terms": "none"})
        if n_samples > settings.n_samples:
            settings = settings.model_copy(update={"n_samples": n_samples})
        located = locate(
            ASSIGNMENTS.check(solution.arrivals),
            solution.picks,
            solution.stations,
            self.model,
            settings,
            prior=self.prior,
            keep_samples=n_samples > 0,
            terms=self.terms,
        )
        if located.events.empty:
            problem = located.problems.iloc[0] if len(located.problems) else None
            why = "no picks" if problem is None else f"{problem['problem']}: {problem['detail']}"
            raise DataError(f"event '{solution.events['event_id'].iloc[0]}' not located, {why}")
        return located

    def relocate(self, solution: Catalog) -> Catalog:
        """Return the solution located anew from its picks, magnitudes moved with it.

        Station magnitudes keep their amplitudes and take the new distances; the type of the event
        stays.
        """
        located = self.locate(solution)
        before = solution.events.iloc[0]
        events = located.events.assign(**{name: before[name] for name in _NOT_LOCATED})
        events, magnitudes = moved_magnitudes(
            EVENTS.check(events),
            solution.station_magnitudes,
            solution.stations,
            self.settings.magnitude,
        )
        used = solution.picks["pick_id"].isin(located.arrivals["pick_id"])
        return Catalog(
            events=events,
            arrivals=located.arrivals,
            picks=solution.picks[used],
            station_magnitudes=magnitudes,
            stations=solution.stations,
        )


def posterior_samples(
    store: Store, event_id: str, version: int | None = None, n: int = 1000
) -> NDArray[np.float64]:
    """Return samples of an event's posterior, computed from its picks with the stored settings.

    Parameters
    ----------
    version
        Version of the event; None for the preferred solution.
    n
        How many, up to 20,000.

    Returns
    -------
    Array ``(n, 4)``: longitude and latitude (degrees), depth (km below sea level), origin time
    relative to that of the solution (s). The same on every call.

    Raises
    ------
    DataError
        If there is no such event or version, the store holds no settings, or ``n`` is out of range.
    """
    if not 1 <= n <= 20_000:
        raise DataError(f"n = {n} samples; give 1 to 20000")
    solution = store.event(event_id, version)
    located = Relocator.of(store).locate(solution, n)
    assert located.samples is not None
    assert located.planes is not None
    row, plane = located.events.iloc[0], located.planes[event_id]
    time_s, east, north, depth = located.samples[event_id][:n].T
    centre = plane.forward(row["longitude"], row["latitude"])
    longitude, latitude = plane.inverse(east + centre[0], north + centre[1])
    shift_s = (row["time"] - solution.events["time"].iloc[0]).total_seconds()
    return np.column_stack([longitude, latitude, depth + row["depth_km"], time_s + shift_s])


def _model(store: Store, settings: RunSettings, folder: str) -> VelocityModel:
    if not settings.model.path:
        return builtin_model(settings.model.name)
    path = _unpacked(store, settings.model.path, folder)
    return read_velocity_model(path, interpolation=settings.model.interpolation)


def _prior(store: Store, settings: RunSettings, folder: str) -> Prior | None:
    prior = settings.prior
    if prior.map_path:
        path = _unpacked(store, prior.map_path, folder)
        prior = prior.model_copy(update={"map_path": str(path)})
    return build_prior(prior)


def _unpacked(store: Store, name: str, folder: str) -> Path:
    """Write an attachment to a file of its own name."""
    name = name.removeprefix(_ATTACHED)
    content = store.attachment(name)
    if content is None or Path(name).name != name:
        raise DataError(f"the store lacks the file '{name}' that its settings name; run again")
    path = Path(folder) / name
    path.write_bytes(content)
    return path


def _terms(store: Store) -> StationTerms | None:
    found: Mapping[str, Any] = {name: store.attachment(_TERMS + name) for name in _TERMS_TABLES}
    tables = {
        name: pd.read_parquet(io.BytesIO(content))
        for name, content in found.items()
        if content is not None
    }
    return StationTerms.from_tables(tables) if tables else None
