"""Operators' decisions: versions, audit trail, and relocation from the database alone."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import obspy
import pandas as pd
import pytest
from reviewed_store import MODEL_CSV, fill

from lithoscope.catalog import Catalog, EventQuery, Store, export, read_catalog
from lithoscope.cli import main
from lithoscope.errors import DataError
from lithoscope.geo import distance_azimuth
from lithoscope.pipeline.relocate import Relocator, posterior_samples
from lithoscope.pipeline.review import NewPick, review
from lithoscope.pipeline.settings import RunSettings

EVENT = "ls_event_0"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return settings with every kind of file that relocation rests on, and a run's store.

    The files are gone when the tests begin.
    """
    folder = tmp_path_factory.mktemp("machine")
    path = folder / "velocity.csv"
    path.write_text(MODEL_CSV)
    settings = RunSettings.parse(
        {
            "model": {"path": str(path)},
            "location": {"station_terms": "estimate"},
            "prior": {"depth_kind": "gaussian", "depth_mean_km": 9.0},
        }
    )
    with Store(folder / "catalogue.sqlite") as store:
        catalog = fill(store, settings)
    path.unlink()
    return folder / "catalogue.sqlite", catalog


@pytest.fixture
def store(made, tmp_path):
    with Store(shutil.copy(made[0], tmp_path / "catalogue.sqlite")) as found:
        yield found


@pytest.fixture
def catalog(made):
    return made[1]


def row(store: Store, version: int | None = None) -> pd.Series:
    return store.event(EVENT, version).events.iloc[0]


def test_relocation_rests_on_the_database_alone(store):
    """Model, prior and terms are in the store: the same picks give the run's answer again."""
    assert 'path = "attached:velocity.csv"' in store.settings()
    found = store.event(EVENT)
    again = Relocator.of(store).locate(found).events.iloc[0]
    before = found.events.iloc[0]
    assert again["time"] == before["time"]
    names = ["longitude", "latitude", "depth_km", "cov_east_east_km2", "depth_68_low_km"]
    np.testing.assert_allclose(
        again[names].to_numpy(float), before[names].to_numpy(float), rtol=1e-12
    )


def test_a_moved_pick_relocates_at_once(store):
    before = store.event(EVENT)
    arrival = before.arrivals[before.arrivals["phase"] == "P"].iloc[0]
    target = arrival["time"] + pd.Timedelta(seconds=0.4)
    change = review(store, EVENT, "move_pick", user="ana", pick_id=arrival["pick_id"], time=target)
    assert (change.action, change.version) == ("review", 2)
    after = store.event(EVENT)
    moved = after.arrivals[
        (after.arrivals["station"] == arrival["station"]) & (after.arrivals["phase"] == "P")
    ].iloc[0]
    assert moved["time"] == target
    pick = after.picks[after.picks["pick_id"] == moved["pick_id"]].iloc[0]
    assert (pick["model"], pick["time"]) == ("manual", target)
    assert len(after.arrivals) == len(before.arrivals)
    # An independent answer: the locator on the changed picks, everything from the settings.
    changed = Catalog(
        events=after.events, arrivals=after.arrivals, picks=after.picks, stations=after.stations
    )
    again = Relocator.of(store).locate(changed).events.iloc[0]
    assert row(store)["longitude"] == again["longitude"] != before.events["longitude"].iloc[0]
    # Magnitudes move with the distances: -log10 A0 grows with distance.
    old = before.station_magnitudes.set_index("station")
    new = after.station_magnitudes.set_index("station").loc[old.index]
    farther = new["distance_km"] > old["distance_km"]
    assert ((new["magnitude"] > old["magnitude"]) == farther).all()
    # The automatic solution stays, as it was.
    assert store.event(EVENT, 1).events.equals(before.events)
    versions = store.versions(EVENT)
    assert list(versions["evaluation_mode"]) == ["automatic", "manual"]
    assert list(versions["evaluation_status"]) == ["preliminary", "reviewed"]
    trail = store.audit(EVENT).iloc[0]
    assert (trail["user"], trail["action"]) == ("ana", "move_pick")
    assert trail["before"]["pick_id"] == arrival["pick_id"]
    assert trail["after"]["longitude"] == row(store)["longitude"]


def test_a_removed_pick(store):
    before = store.event(EVENT)
    for n, pick in enumerate(before.arrivals["pick_id"].iloc[:12], start=1):
        review(store, EVENT, "remove_pick", user="ana", pick_id=pick)
        assert len(store.event(EVENT).arrivals) == len(before.arrivals) - n
    left = list(store.event(EVENT).arrivals["pick_id"])
    review(store, EVENT, "remove_pick", user="ana", pick_id=left[0])
    with pytest.raises(DataError, match="too few picks"):
        review(store, EVENT, "remove_pick", user="ana", pick_id=left[1])
    assert len(store.event(EVENT).arrivals) == 3
    assert set(before.picks["pick_id"]) <= set(store.table("picks")["pick_id"])


def test_decisions_without_relocation(store):
    review(store, EVENT, "comment", user="ana", comment="check the S at S3")
    state = store.events(EventQuery(eventid=EVENT)).iloc[0]
    assert (state["evaluation_mode"], state["evaluation_status"]) == ("automatic", "preliminary")
    review(store, EVENT, "accept", user="ana")
    state = store.events(EventQuery(eventid=EVENT)).iloc[0]
    assert (state["evaluation_mode"], state["evaluation_status"]) == ("manual", "confirmed")
    review(store, EVENT, "retype", user="bo", event_type="quarry blast")
    review(store, EVENT, "accept", user="bo")
    state = store.events(EventQuery(eventid=EVENT)).iloc[0]
    assert (state["event_type"], state["evaluation_status"]) == ("quarry blast", "final")
    review(store, EVENT, "reject", user="bo", comment="a test shot")
    assert EVENT not in set(store.read().events["event_id"])
    assert store.count(EventQuery()) == 1
    assert store.count(EventQuery(status="rejected")) == 1
    with pytest.raises(DataError, match="accept it before"):
        review(store, EVENT, "retype", user="bo", event_type="earthquake")
    review(store, EVENT, "accept", user="ana")
    assert store.count(EventQuery()) == 2
    assert list(store.audit(EVENT)["action"])[::-1] == [
        "comment",
        "accept",
        "retype",
        "accept",
        "reject",
        "accept",
    ]
    assert store.sequence() == 8


def test_two_operators_do_not_overwrite_each_other(store):
    review(store, EVENT, "accept", user="ana", version=1)
    with pytest.raises(DataError, match="changed meanwhile"):
        review(store, EVENT, "reject", user="bo", version=1)
    assert len(store.audit(EVENT)) == 1


def test_an_added_pick_relocates_at_once(store):
    """A pick taken away and made again by hand brings the first solution back.

    It is surer of the pick (probability 1), so within a tenth of a sigma.
    """
    before = store.event(EVENT)
    pick = before.picks[before.picks["phase"] == "S"].iloc[0]
    review(store, EVENT, "remove_pick", user="ana", pick_id=pick["pick_id"])
    without = row(store)
    new = NewPick(pick["station"], "S", pick["time_sigma_s"])
    review(store, EVENT, "add_pick", user="ana", new=new, time=pick["time"])
    first, again = before.events.iloc[0], row(store)
    off_km = abs(again["depth_km"] - first["depth_km"])
    assert off_km < min(0.1 * first["depth_sigma_km"], abs(without["depth_km"] - first["depth_km"]))
    assert again["longitude"] == pytest.approx(first["longitude"], abs=1e-5)
    found = store.event(EVENT)
    assert set(found.arrivals["pick_id"]) == set(before.arrivals["pick_id"])
    added = found.picks[found.picks["pick_id"] == pick["pick_id"]].iloc[0]
    assert added["time"] == pick["time"]
    trail = store.audit(EVENT).iloc[0]
    assert (trail["action"], trail["after"]["pick_id"]) == ("add_pick", pick["pick_id"])
    with pytest.raises(DataError, match="move that one"):
        review(store, EVENT, "add_pick", user="ana", new=new, time=pick["time"])


NEW = NewPick("XX.S0..HH", "P", 0.05)
SOON = pd.Timestamp("2026-05-04T03:02:05Z")


@pytest.mark.parametrize(
    ("action", "words", "message"),
    [
        ("add_pick", {"time": SOON}, "needs the station"),
        ("add_pick", {"new": NEW}, "needs the station"),
        ("add_pick", {"new": NEW, "time": SOON}, "has a P pick at XX.S0..HH; move that one"),
        ("add_pick", {"new": NewPick("XX.NO..HH", "P", 0.1), "time": SOON}, "no station 'XX.NO"),
        ("add_pick", {"new": NewPick("XX.S0..HH", "Pn", 0.1), "time": SOON}, "use P or S"),
        ("add_pick", {"new": NewPick("XX.S0..HH", "P", float("nan")), "time": SOON}, "sigma nan s"),
        ("destroy", {}, "unknown; use accept"),
        ("accept", {"user": " "}, "user is empty"),
        ("comment", {}, "comment is empty"),
        ("comment", {"comment": "a\x00b"}, "control character"),
        ("comment", {"comment": "x" * 5001}, "at most 5000"),
        ("retype", {"event_type": "<b>earthquake</b>"}, "no type of QuakeML"),
        ("remove_pick", {"pick_id": "XX.S9..HH/P/1"}, "has no pick"),
        ("move_pick", {"pick_id": "first"}, "needs the new time"),
        ("move_pick", {"pick_id": "first", "time": pd.Timestamp("2020-01-01")}, "would move by"),
    ],
)
def test_bad_requests_change_nothing(store, action, words, message):
    if words.get("pick_id") == "first":
        words = {**words, "pick_id": store.event(EVENT).arrivals["pick_id"].iloc[0]}
    with pytest.raises(DataError, match=message) as error:
        review(store, EVENT, action, **{"user": "ana", **words})
    assert "\n" not in str(error.value)
    assert store.sequence() == 2
    assert store.audit().empty
    with pytest.raises(DataError, match="no event"):
        review(store, "none", "accept", user="ana")


HOSTILE = "'; DROP TABLE events; -- <script>alert(1)</script> ]]> &lt; lithoscope {} \" % ä"


def test_comments_are_data(store, tmp_path):
    review(store, EVENT, "comment", user="<img src=x>", comment=HOSTILE)
    spoof = 'lithoscope {"refused_station_magnitudes": [{"station": "A.B..C"}]}'
    review(store, EVENT, "accept", user="ana", comment=spoof)
    assert list(store.audit(EVENT)["comment"]) == [spoof, HOSTILE]
    assert list(store.versions(EVENT)["note"])[1:] == [HOSTILE, spoof]
    (path,) = export(store.read(), tmp_path / "out.xml", "quakeml")
    event = next(e for e in obspy.read_events(str(path)) if EVENT in str(e.resource_id))
    assert [c.text for c in event.comments] == [HOSTILE, spoof]
    assert event.comments[0].creation_info.author == "<img src=x>"
    assert "A.B..C" not in set(read_catalog(path).station_magnitudes["station"])


def test_quakeml_holds_both_solutions(store, tmp_path):
    from obspy.io.quakeml.core import _validate

    automatic = store.event(EVENT)
    arrival = automatic.arrivals.iloc[3]
    time = arrival["time"] - pd.Timedelta(seconds=0.3)
    review(store, EVENT, "move_pick", user="ana", pick_id=arrival["pick_id"], time=time)
    for catalog in (store.read(), store.catalog([EVENT]), store.event(EVENT)):
        (path,) = export(catalog, tmp_path / "out.xml", "quakeml")
        assert _validate(str(path))
        event = next(e for e in obspy.read_events(str(path)) if EVENT in str(e.resource_id))
        first, second = event.origins
        assert event.preferred_origin() is second
        judged = [(o.evaluation_mode, o.evaluation_status) for o in event.origins]
        assert judged == [("automatic", "preliminary"), ("manual", "reviewed")]
        assert first.longitude == automatic.events["longitude"].iloc[0] != second.longitude
        assert second.longitude == row(store)["longitude"]
        assert len(event.picks) == len(automatic.arrivals) + 1
        assert sorted(p.evaluation_mode for p in event.picks)[-1] == "manual"
        assert event.preferred_magnitude().origin_id == second.resource_id
        ids = [str(a.resource_id) for o in event.origins for a in o.arrivals]
        assert len(set(ids)) == len(ids) == 2 * len(automatic.arrivals)
        back = read_catalog(path)
        mine = back.events[back.events["event_id"] == EVENT].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, store.event(EVENT).events)


def test_later_automatic_solutions_do_not_replace_a_review(store, catalog):
    """Neither a watch's update, nor a cancellation, nor another batch run."""
    pick = store.event(EVENT).arrivals["pick_id"].iloc[0]
    review(store, EVENT, "remove_pick", user="ana", pick_id=pick)
    reviewed = row(store)
    other = store.event("ls_event_1")
    update = store.event(EVENT, 1)
    events = update.events.assign(depth_km=21.0)
    change = store.put_event(Catalog(events=events, arrivals=update.arrivals, picks=update.picks))
    assert change is not None
    assert change.action == "update"
    assert store.cancel_event(EVENT, "gone") is None
    assert row(store).equals(reviewed)
    assert store.catalog([EVENT]).evaluation.automatic.events["depth_km"].iloc[0] == 21.0

    renamed = {
        name: frame.assign(event_id=frame["event_id"].replace(EVENT, "ls_other_name"))
        if "event_id" in frame
        else frame
        for name, frame in catalog.tables()
    }
    for written in (catalog, Catalog(**renamed), Catalog(stations=catalog.stations)):
        assert store.write(written) == [EVENT]
        assert row(store).equals(reviewed)
        last = store.sequence()
        store.write(written)
        assert store.sequence() == last
        events = store.read().events
        assert list(events["event_id"]) == [EVENT, "ls_event_1"][: 1 + len(written.events) // 2]
    assert store.audit(EVENT)["user"].iloc[0] == "ana"
    assert other.events["time"].iloc[0] > reviewed["time"]
    # The review still works on what a run without the event has left.
    review(
        store, EVENT, "remove_pick", user="bo", pick_id=store.event(EVENT).arrivals["pick_id"][0]
    )


def test_posterior_samples_match_the_stated_uncertainty(store):
    samples = posterior_samples(store, EVENT, n=800)
    assert samples.shape == (800, 4)
    np.testing.assert_array_equal(samples, posterior_samples(store, EVENT, n=800))
    event = row(store)
    # The standard deviation of 800 draws is known to 1 / sqrt(2 * 800) = 2.5 %; four times that,
    # doubled for the weights that the draws are resampled with.
    for values, sigma in ((samples[:, 2], "depth_sigma_km"), (samples[:, 3], "time_sigma_s")):
        assert np.std(values) == pytest.approx(event[sigma], rel=0.2)
    distance, _ = distance_azimuth(
        event["longitude"], event["latitude"], samples[:, 0], samples[:, 1]
    )
    spread = np.hypot(event["east_sigma_km"], event["north_sigma_km"])
    offset = np.hypot(*(np.mean(samples[:, :2], axis=0) - event[["longitude", "latitude"]]))
    assert offset < 0.1
    assert np.sqrt(np.mean(distance**2)) == pytest.approx(spread, rel=0.25)
    with pytest.raises(DataError, match="give 1 to"):
        posterior_samples(store, EVENT, n=0)


def test_a_store_without_settings_says_so(tmp_path, catalog):
    with Store(tmp_path / "bare.sqlite") as store:
        store.write(catalog)
        review(store, EVENT, "accept", user="ana")
        with pytest.raises(DataError, match="does not say how its events were located"):
            posterior_samples(store, EVENT)


def test_the_command(store, monkeypatch, capsys):
    def lithoscope(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lithoscope", "review", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        output = capsys.readouterr()
        return int(stopped.value.code or 0), output.out + output.err

    code, text = lithoscope(store.url, EVENT, "accept", "--user", "ana", "--json")
    assert (code, json.loads(text)["evaluation_status"]) == (0, "confirmed")
    pick = store.event(EVENT).arrivals["pick_id"].iloc[0]
    code, text = lithoscope(store.url, EVENT, "remove_pick", "--pick", pick, "--user", "ana")
    assert code == 0
    assert "version 3, reviewed" in text
    code, text = lithoscope(store.url, EVENT, "move_pick", "--pick", pick, "--time", "soon")
    assert (code, text) == (
        1,
        "lithoscope: time 'soon' is no time; write it as 2026-05-04T03:02:01.25\n",
    )
    assert lithoscope(store.url, "none", "accept") == (1, "lithoscope: there is no event 'none'\n")
