"""What takes long the first time is done before data come: travel times, code that is compiled.

That is a minute on a fresh installation, and half of one for a model with many gradients.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.association import AssociationSettings, PickArrays, search_ground
from lithoscope.constants import NS_PER_S
from lithoscope.geo import LocalProjection
from lithoscope.location import LocatedEvent, NetworkLocator, Picked
from lithoscope.pipeline.live.rolling import Look, Solution, associate_span
from lithoscope.schema import pick_id
from lithoscope.traveltimes import VelocityModel, first_arrivals

# Larger lists are those of a data centre, of which a watch follows a part.
_MOST_STATIONS = 100
_WIDEST_KM = 1000.0
_N_PICKED = 8
_DEPTH_KM = 8.0


def until(stop: threading.Event, work: Callable[[], None]) -> None:
    """Wait for work that another thread does, or for a stop: then it is left to end by itself.

    Raises
    ------
    Exception
        What the work raised.
    """
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
            done.set_result(None)
        except Exception as error:  # noqa: BLE001  # raised by `result`
            done.set_exception(error)

    threading.Thread(target=run, name="rehearsal", daemon=True).start()
    while not done.done() and not stop.is_set():
        wait([done], timeout=0.1)
    if done.done():
        done.result()


def is_network(sites: pd.DataFrame) -> bool:
    """Tell whether stations are few and near enough to be those of one network."""
    if not 0 < len(sites) <= _MOST_STATIONS:
        return False
    return bool(_from_the_middle_km(sites).max() <= _WIDEST_KM / 2.0)


def seek_once(
    sites: pd.DataFrame, model: VelocityModel, settings: AssociationSettings
) -> list[list[Solution]]:
    """Associate the picks of a made-up earthquake, quickly and thoroughly; return what is found."""
    ground = search_ground(sites, model, settings)
    picked = made_up(sites, model)
    times_ns = picked.time.view(np.int64)
    picks = PickArrays(
        picked.ids, picked.station, picked.phase, times_ns, picked.sigma_s, picked.probability
    )
    looks = [Look((-60.0, 60.0), picks, settings, frozenset(), quick) for quick in (True, False)]
    return [associate_span(look, ground) for look in looks]


def locate_once(locator: NetworkLocator, sites: pd.DataFrame) -> LocatedEvent:
    """Locate a made-up earthquake."""
    return locator.locate("rehearsal", made_up(sites, locator.model), n_samples=100)


def made_up(sites: pd.DataFrame, model: VelocityModel) -> Picked:
    """Return P and S of an earthquake at 0 s, below the middle of some stations."""
    distance = _from_the_middle_km(sites)
    near = np.argsort(distance, kind="stable")[:_N_PICKED]
    names = sites["station"].to_numpy(object)[near]
    depth = -sites["elevation_m"].to_numpy(float)[near] / 1000.0
    depth[np.isnan(depth)] = 0.0
    phases = ("P", "S")
    times = [first_arrivals(model, p, distance[near], _DEPTH_KM, depth).time_s for p in phases]
    station = np.tile(names, 2)
    phase = np.repeat(np.array(phases, object), len(near))
    times_ns = np.round(NS_PER_S * np.concatenate(times)).astype(np.int64)
    n = len(station)
    return Picked(
        np.array(list(map(pick_id, station, phase, times_ns.tolist())), object),
        station,
        phase,
        times_ns.view("datetime64[ns]"),
        np.full(n, 0.05),
        np.full(n, 0.9),
    )


def _from_the_middle_km(sites: pd.DataFrame) -> NDArray[np.float64]:
    lonlat = sites["longitude"].to_numpy(float), sites["latitude"].to_numpy(float)
    return np.hypot(*LocalProjection.around(*lonlat).forward(*lonlat))
