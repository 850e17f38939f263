"""Vp/Vs from S minus P times, without origin times and without a velocity model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.errors import ConvergenceError, DataError

MIN_PAIRS = 5
_HUBER = 1.345  # 95 % efficiency on Gaussian data (Huber 1964)


@dataclass(frozen=True)
class Wadati:
    """Fit of one Vp/Vs to the P and S times of all events.

    Attributes
    ----------
    vp_vs, sigma
        Ratio and its 1 sigma: from the pick sigmas, widened where the scatter of the pairs is
        larger than the sigmas say.
    p_travel_s, s_minus_p_s
        Per pair: P time since the event's Wadati origin time (where its line meets S - P = 0),
        and S - P, seconds. On the line, ``s_minus_p_s = (vp_vs - 1) * p_travel_s``.
    event_id, station
        Per pair.
    weight
        Huber weight of the pair, 1 = full.
    scatter
        Robust ratio of the observed misfit to the one that the pick sigmas predict.
    """

    vp_vs: float
    sigma: float
    p_travel_s: NDArray[np.float64]
    s_minus_p_s: NDArray[np.float64]
    event_id: NDArray[np.str_]
    station: NDArray[np.str_]
    weight: NDArray[np.float64]
    scatter: float

    @property
    def n_pairs(self) -> int:
        return len(self.p_travel_s)

    @property
    def n_events(self) -> int:
        return len(np.unique(self.event_id))


def wadati(arrivals: pd.DataFrame, picks: pd.DataFrame) -> Wadati:
    """Fit S time against P time over the stations of each event, one slope for all events.

    Within an event, ``t_S = t_0 + k (t_P - t_0)`` with ``k = Vp/Vs``, whatever the path, if k is
    the same everywhere (Wadati 1933; pooled over events as in Chatelain 1978). Both times have
    errors, so the line is York's (1969) with an intercept per event and Huber weights.

    Parameters
    ----------
    arrivals
        ARRIVALS; only pairs whose weights are both above 0.5 are used.
    picks
        PICKS, for the time sigmas; picks without one count as 0.1 s.

    Raises
    ------
    DataError
        With fewer than 5 pairs, no event with two pairs, P times that do not differ, or a ratio
        that is not above 1.
    ConvergenceError
        If the robust fit does not settle.
    """
    pairs = _pairs(arrivals, picks)
    if len(pairs) < MIN_PAIRS:
        raise DataError(
            f"{len(pairs)} stations with both P and S in events with at least two of them: "
            f"a Wadati diagram needs at least {MIN_PAIRS}"
        )
    event, n_events = pairs["code"].to_numpy(), int(pairs["code"].max()) + 1
    p, s = pairs["p"].to_numpy(), pairs["s"].to_numpy()
    sigma_p, sigma_s = pairs["p_sigma"].to_numpy(), pairs["s_sigma"].to_numpy()
    slope, weight, scatter, sigma = _fit(p, s, sigma_p, sigma_s, event, n_events)
    if not (np.isfinite(slope) and slope > 1.0):
        raise DataError(f"the P and S times give Vp/Vs = {slope:.3g}, which is not above 1")
    total = weight / (sigma_s**2 + slope**2 * sigma_p**2)
    minus = s - p
    onset = _event_mean(p, total, event, n_events)
    onset -= _event_mean(minus, total, event, n_events) / (slope - 1.0)
    return Wadati(
        slope,
        sigma,
        p - onset[event],
        minus,
        pairs["event_id"].to_numpy(dtype=str),
        pairs["station"].to_numpy(dtype=str),
        weight,
        scatter,
    )


def _pairs(arrivals: pd.DataFrame, picks: pd.DataFrame) -> pd.DataFrame:
    good = arrivals[(arrivals["weight"] > 0.5) & arrivals["time"].notna()]
    sigmas = picks.drop_duplicates("pick_id").set_index("pick_id")["time_sigma_s"]
    good = good.assign(sigma=good["pick_id"].map(sigmas).astype(float))
    good["sigma"] = good["sigma"].where(good["sigma"] > 0, 0.1).clip(lower=1e-3)
    good = good.drop_duplicates(["event_id", "station", "phase"])
    keys = ["event_id", "station"]
    wide = good[good["phase"] == "P"].merge(
        good[good["phase"] == "S"], on=keys, suffixes=("_p", "_s")
    )
    wide = wide[wide["time_s"] > wide["time_p"]]
    wide = wide[wide.groupby("event_id")["station"].transform("size") >= 2].copy()
    wide["code"] = pd.factorize(wide["event_id"])[0]
    first = wide.groupby("event_id")["time_p"].transform("min")
    wide["p"] = (wide["time_p"] - first).dt.total_seconds()
    wide["s"] = (wide["time_s"] - first).dt.total_seconds()
    return wide.rename(columns={"sigma_p": "p_sigma", "sigma_s": "s_sigma"})


def _event_mean(
    values: NDArray[np.float64], weight: NDArray[np.float64], event: NDArray[np.int64], n: int
) -> NDArray[np.float64]:
    total = np.bincount(event, weight, minlength=n)
    return np.bincount(event, weight * values, minlength=n) / total


def _fit(
    p: NDArray[np.float64],
    s: NDArray[np.float64],
    sigma_p: NDArray[np.float64],
    sigma_s: NDArray[np.float64],
    event: NDArray[np.int64],
    n_events: int,
) -> tuple[float, NDArray[np.float64], float, float]:
    slope, scatter = 1.73, 1.0
    huber = np.ones(len(p))
    n_free = len(p) - n_events - 1
    for _ in range(100):
        w = huber / (sigma_s**2 + slope**2 * sigma_p**2)
        u = p - _event_mean(p, w, event, n_events)[event]
        v = s - _event_mean(s, w, event, n_events)[event]
        # York (1969): the abscissa as adjusted by the line, without which noise flattens it
        share = slope * sigma_p**2 / (sigma_s**2 + slope**2 * sigma_p**2)
        adjusted = u + share * (v - slope * u)
        lever = float(np.sum(w * adjusted * u))
        if not lever > 1e-12 * float(np.sum(w)):
            raise DataError("the P times within each event do not differ: no slope can be fitted")
        new = float(np.sum(w * adjusted * v)) / lever
        misfit = np.abs(v - new * u) / np.sqrt(sigma_s**2 + new**2 * sigma_p**2)
        if n_free > 0:
            # median of |Gaussian| is 0.6745; fitted parameters shrink the residuals
            shrink = np.sqrt(n_free / len(p))
            scatter = max(1.0, float(np.median(misfit)) / 0.6745 / shrink)
        huber = np.minimum(1.0, _HUBER * scatter / np.maximum(misfit, 1e-12))
        change, slope = abs(new - slope), new
        if change < 1e-10:
            break
    if not change < 1e-4:
        raise ConvergenceError(f"Vp/Vs did not settle: last change {change:.2g}")
    # Huber's M-estimate: variance of the score over the squared slope of the score
    inside = float(np.mean(huber == 1.0))
    psi = np.sum((w * u * (v - new * u)) ** 2)
    gaussian = scatter**2 / np.sum(w / np.maximum(huber, 1e-12) * adjusted**2)
    sandwich = psi / (inside * np.sum(w / np.maximum(huber, 1e-12) * adjusted**2)) ** 2
    factor = len(p) / max(n_free, 1)
    return new, huber, scatter, float(np.sqrt(max(gaussian, sandwich * factor)))
