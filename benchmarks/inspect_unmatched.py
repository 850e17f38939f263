"""Say which events of a run that a reference catalogue does not list are real, and show why.

    python benchmarks/inspect_unmatched.py RUN REFERENCE --output FOLDER [--until TIME]
        [--time-s 2] [--distance-km 5] [--turns 20] [--no-figures]
    python benchmarks/inspect_unmatched.py --small

RUN is a run directory whose waveforms and stations are still where the run found them. For every
event inside the reference's time that has no partner, and every missed one of the reference, FOLDER
gets a record section, ``HHMMSS.S_KIND.png`` (all on ``sheet.png``), and ``events.csv`` a row: its
picks, and the evidence of `event_evidence.py` at its predicted P and S, without what the known
events (the reference's and those matched with it) explain. ``expected`` is how many events as good
chance makes in data of this length: below 0.05 the verdict is real, above 1 "like chance", doubtful
between. ``nearby`` is the same for the best place and time within 3 s: where the event itself has
no evidence but that has, it is mislocated.

The score is put to the test beside: events of the reference (each without the others), which must
come out as real, and as many phantoms, the same places and times over traces of which each
station is turned by another time than in the sample of chance, which must not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from event_evidence import (
    REAL,
    SCAN_S,
    STEP_S,
    Chance,
    Evidence,
    Plan,
    each_second,
    onsets,
    places,
    plan_of,
    scan,
    surprise,
    turned,
    verdict,
)
from event_section import draw_section, join_sections
from numpy.typing import NDArray

from lithoscope.catalog import Catalog, Comparison, compare, read_reference
from lithoscope.geo import distance_azimuth
from lithoscope.pipeline import (
    RunSettings,
    load_settings,
    open_archive,
    open_run,
    run,
    velocity_model,
)
from lithoscope.pipeline.pickers import make_picker
from lithoscope.pipeline.rundir import RunDirectory
from lithoscope.waveforms import Archive, read_records

#: An event counts as mislocated if better evidence lies within this time of it (s).
NEARBY_S = 3.0
#: ... and farther than this from it (s, km): the errors of a travel-time table and a grid.
ELSEWHERE_S, ELSEWHERE_KM = 1.0, 10.0
#: A listed event this near is the same one (s, km).
SAME_S, SAME_KM = 0.7, 15.0
#: Data are read for this long after the last event looked at (s).
WAVES_S = 40.0
#: Waves of events farther away in time are not looked for (s).
FAR_S = 120.0
#: The best seconds of turned traces that are shown as phantoms.
N_BEST = 10


@dataclass(frozen=True)
class Tools:
    """Places to look at, how to look there, and what chance makes."""

    grid: list[pd.Series]
    plan: Plan
    chance: Chance


@dataclass(frozen=True)
class Opened:
    """A run with its recordings."""

    catalog: Catalog
    archive: Archive
    channels: pd.DataFrame
    evidence: Evidence


def open_evidence(folder: Path, until: pd.Timestamp | None) -> Opened:
    """Read the catalogue of a run and all of its recordings, where the run found them."""
    marker = RunDirectory(folder).read_marker()
    settings = load_settings(folder / "config.toml")
    sources, stations = ([Path(p) for p in marker[key]] for key in ("sources", "stations"))
    archive, inventory = open_archive(sources, stations, settings)
    catalog, picker = open_run(folder), make_picker(settings.picking)
    start, end = archive.span_ns()
    if until is not None:
        end = min(end, until.value + round(WAVES_S * 1e9))
    n = int((end - start) / 1e9 / STEP_S) + 1
    surprises = []
    for station in catalog.stations["station"]:
        records, _ = read_records(
            archive, station, start, end, channels=inventory.channels, settings=settings.waveforms
        )
        surprises.append(np.stack([surprise(curve) for curve in onsets(records, picker, start, n)]))
    evidence = Evidence(
        start,
        catalog.stations.reset_index(drop=True),
        velocity_model(settings.model),
        terms_of(folder, catalog.stations["station"]),
        np.stack(surprises),
    )
    return Opened(catalog, archive, inventory.channels, evidence)


def terms_of(folder: Path, stations: pd.Series) -> NDArray[np.float64]:
    """Return the station terms of a run, ``(stations, 2)``; zeros where there are none."""
    terms = np.zeros((len(stations), 2))
    file = folder / "station_terms.csv"
    if file.exists():
        known = pd.read_csv(file).set_index(["station", "phase"])["term_s"]
        for s, station in enumerate(stations):
            for phase in (0, 1):
                terms[s, phase] = known.get((station, "PS"[phase]), 0.0)
    return terms


def sample_chance(evidence: Evidence, plan: Plan, turns: int, seed: int) -> Chance:
    """Score turned traces."""
    rng = np.random.default_rng(seed)
    parts = [each_second(scan(turned(evidence, rng), plan)[0]) for _ in range(turns)]
    return Chance(np.sort(np.concatenate(parts, axis=1), axis=1))


def nearby(evidence: Evidence, tools: Tools, event: pd.Series) -> tuple[float, float, float]:
    """Return how often chance scores like the best place and time within `NEARBY_S` of an event.

    And how far these are from the event (s, km).
    """
    step = round(SCAN_S / STEP_S)
    middle = round(evidence.seconds(event) / SCAN_S)
    low = max(middle - round(NEARBY_S / SCAN_S), 0)
    width = 2 * round(NEARBY_S / SCAN_S) + 1
    reach = max(int(steps.max()) for _, steps in tools.plan) + width
    best, where = scan(evidence.surprises[:, :, low * step : (low + reach) * step], tools.plan)
    parts = [tools.chance.part(column) for column in best[:, :width].T]
    k = int(np.argmin(parts))
    rank = tools.chance.loudest(best[:, k])
    place = tools.grid[where[rank, k]]
    far = distance_azimuth(
        event["longitude"], event["latitude"], place["longitude"], place["latitude"]
    )[0]
    return parts[k], (low + k) * SCAN_S - evidence.seconds(event), float(far)


def describe(opened: Opened, event: pd.Series) -> dict[str, object]:
    """Return what the catalogue says of an event; little for one of the reference."""
    catalog = opened.catalog
    row: dict[str, object] = {
        "time": f"{event['time']:%H:%M:%S.%f}"[:-4],
        "longitude": round(event["longitude"], 3),
        "latitude": round(event["latitude"], 3),
        "depth_km": round(event["depth_km"], 1),
        "magnitude": round(event.get("magnitude", np.nan), 2),
    }
    mine = catalog.arrivals[catalog.arrivals["event_id"] == event["event_id"]]
    if mine.empty:
        return row
    probability = mine.merge(catalog.picks, on="pick_id")["probability"].mean()
    return row | {
        "n_p": event["n_p"],
        "n_s": event["n_s"],
        "gap_deg": round(event["azimuthal_gap_deg"]),
        "rms_s": round(event["rms_s"], 2),
        "probability": round(probability, 2),
    }


def judge(opened: Opened, found: Comparison, tools: Tools) -> pd.DataFrame:
    """Return a row for each unmatched event of the run and each missed one of the reference.

    The best ones first: what one that is real explains is no evidence for the next.
    """
    events = opened.catalog.events
    matched = events[events["event_id"].isin(found.matched["event_id"])]
    rows = []
    for kind, table, others in (
        ("unmatched", found.new, pd.concat([matched, found.missed], ignore_index=True)),
        ("missed", found.missed, matched),
    ):
        known = others
        rest = table
        while len(rest):
            parts = [
                tools.chance.part(without_others(opened.evidence, event, known).score(event))
                for _, event in rest.iterrows()
            ]
            best = rest.index[int(np.argmin(parts))]
            row = judge_one(opened, rest.loc[best], known, tools)
            if row["verdict"] == "real":
                known = pd.concat([known, rest.loc[[best]]], ignore_index=True)
            rest = rest.drop(index=best)
            rows.append({"kind": kind} | row)
    table = pd.DataFrame(rows)
    return table.sort_values(["kind", "time"], ascending=[False, True], ignore_index=True)


def without_others(evidence: Evidence, event: pd.Series, known: pd.DataFrame) -> Evidence:
    """Return the evidence without what other events explain, the nearest in time and space apart.

    A known event within `SAME_S` and `SAME_KM` is this event, listed at another place.
    """
    apart = (known["time"] - event["time"]).dt.total_seconds().abs()
    here = distance_azimuth(
        event["longitude"], event["latitude"],
        known["longitude"].astype(float), known["latitude"].astype(float),
    )[0]  # fmt: skip
    same = (apart < SAME_S) & (np.asarray(here) < SAME_KM)
    return evidence.without(known[~same & (apart < FAR_S)])


def judge_one(
    opened: Opened, event: pd.Series, known: pd.DataFrame, tools: Tools
) -> dict[str, object]:
    """Return what is known of an event, its evidence and the verdict."""
    evidence = opened.evidence
    own = without_others(evidence, event, known)
    length_s = evidence.length_s
    expected = tools.chance.part(own.score(event)) * length_s
    alone = tools.chance.part(evidence.score(event)) * length_s
    part, late_s, far_km = nearby(own, tools, event)
    word = verdict(expected)
    if word != "real" and part * length_s < REAL:
        word = "mislocated" if abs(late_s) > ELSEWHERE_S or far_km > ELSEWHERE_KM else "real"
    return (
        {"event_id": event["event_id"]}
        | describe(opened, event)
        | {
            "with_others": float(f"{alone:.2g}"),
            "expected": float(f"{expected:.2g}"),
            "nearby": float(f"{part * length_s:.2g}"),
            "late_s": round(late_s, 1),
            "far_km": round(far_km),
            "verdict": word,
        }
    )


def check(evidence: Evidence, known: pd.DataFrame, tools: Tools, seed: int) -> pd.DataFrame:
    """Score each known event without the others, and phantoms over traces turned anew.

    Phantoms: the known places and times; and the best `N_BEST` of the seconds anywhere, which is
    what a search finds in such data.
    """
    fresh = np.random.default_rng(seed + 1)
    scores = []
    for number, event in known.iterrows():
        others = without_others(evidence, event, known.drop(index=number))
        phantom = replace(evidence, surprises=turned(evidence, fresh))
        when = f"{event['time']:%H:%M:%S}"
        scores += [("known", when, others.score(event)), ("phantom", when, phantom.score(event))]
    parts = [(kind, when, tools.chance.part(value)) for kind, when, value in scores]
    best = each_second(scan(turned(evidence, fresh), tools.plan)[0])
    every = sorted(tools.chance.part(column) for column in best.T)
    parts += [("best phantom", "", part) for part in every[:N_BEST]]
    table = pd.DataFrame(parts, columns=["kind", "time", "expected"])
    table["expected"] *= evidence.length_s
    return table.assign(verdict=table["expected"].map(verdict))


def show(table: pd.DataFrame, checked: pd.DataFrame, tools: Tools, length_s: float) -> None:
    """Print the table, the counts and how the score did on known events and phantoms."""
    print(table.drop(columns="event_id").to_string(index=False))
    for kind, part in table.groupby("kind", sort=False):
        print(
            f"{kind}: " + ", ".join(f"{n} {w}" for w, n in part["verdict"].value_counts().items())
        )
    for kind, part in checked.groupby("kind", sort=False):
        words = part["verdict"].value_counts().to_dict()
        print(f"check, {kind}: {words}, expected {part['expected'].median():.2g} (median)")
    weak = checked[(checked["kind"] == "known") & (checked["verdict"] != "real")]
    share = len(weak) / max((checked["kind"] == "known").sum(), 1)
    print(
        f"error: {100 * share:.0f} % of the known events not called real "
        f"({', '.join(weak['time']) or 'none'}); chance from "
        f"{tools.chance.scores.shape[1]} s of turned traces, {length_s:.0f} s of data"
    )


def inspect(
    folder: Path, reference: Path | pd.DataFrame, output: Path | None, options: argparse.Namespace
) -> pd.DataFrame:
    """Judge a run; write its table and record sections."""
    began = time.process_time()
    until = options.until
    if until is not None and until.tzinfo is None:
        until = until.tz_localize("UTC")
    opened = open_evidence(folder, until)
    if isinstance(reference, Path):
        reference = read_reference(reference)
    events, evidence = opened.catalog.events, opened.evidence
    start = pd.Timestamp(evidence.start_ns, tz="UTC")
    end = start + pd.Timedelta(evidence.length_s, "s")
    span = (start, end if until is None else min(end, until))
    found = compare(
        events, reference, time_s=options.time_s, distance_km=options.distance_km, span=span
    )
    grid = places(evidence, pd.concat([events, found.missed]))
    plan = plan_of(evidence, grid)
    tools = Tools(grid, plan, sample_chance(evidence, plan, options.turns, options.seed))
    table = judge(opened, found, tools)
    matched = events[events["event_id"].isin(found.matched["event_id"])]
    known = pd.concat([matched, found.missed], ignore_index=True)
    checked = check(evidence, known, tools, options.seed)
    show(table, checked, tools, evidence.length_s)
    print(f"{len(found.matched)} matched; {time.process_time() - began:.1f} CPU s")
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        table.to_csv(output / "events.csv", index=False)
        checked.to_csv(output / "check.csv", index=False)
        if not options.no_figures:
            draw(opened, reference, pd.concat([found.new, found.missed]), table, output)
    return table


def draw(
    opened: Opened, reference: pd.DataFrame, events: pd.DataFrame, table: pd.DataFrame, output: Path
) -> None:
    """Write the record section of every row of the table, and all on one sheet."""
    every, names = events.set_index("event_id", drop=False), []
    for row in table.itertuples():
        names.append(output / f"{row.time[:-1].replace(':', '')}_{row.kind}.png")
        draw_section(opened, reference, every.loc[row.event_id], row, names[-1])
    if names:
        join_sections(names, output / "sheet.png")


def small(options: argparse.Namespace) -> None:
    """Run on the synthetic archive, with a reference that lacks one of its events."""
    root = Path(__file__).resolve().parents[1]
    sys.path.insert(0, str(root / "tests" / "pipeline"))
    from synthetic_archive import make

    with tempfile.TemporaryDirectory() as scratch:
        archive = make(Path(scratch) / "data")
        folder = Path(scratch) / "run"
        settings = RunSettings.model_validate(
            {"engine": {"workers": 1}, "output": {"report": False}}
        )
        run([archive.waveforms], [archive.stations], folder, settings)
        inspect(folder, archive.events.iloc[1:].reset_index(drop=True), None, options)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("reference", type=Path, nargs="?")
    parser.add_argument("--output", "-o", type=Path)
    parser.add_argument("--until", type=pd.Timestamp, help="data and events up to here, UTC")
    parser.add_argument("--time-s", type=float, default=2.0)
    parser.add_argument("--distance-km", type=float, default=5.0)
    parser.add_argument("--turns", type=int, default=20, help="times the data are turned")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-figures", action="store_true")
    parser.add_argument("--small", action="store_true", help="a synthetic run")
    options = parser.parse_args(argv)
    lacking = options.run is None or options.reference is None or options.output is None
    if lacking and not options.small:
        parser.error("RUN, REFERENCE and --output are needed")
    return options


def main(argv: Sequence[str] | None = None) -> None:
    """Judge the events of a run, or of a small synthetic one."""
    options = arguments(argv)
    if options.small:
        small(options)
    else:
        inspect(options.run, options.reference, options.output, options)


if __name__ == "__main__":
    main()
