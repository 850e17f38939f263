"""Station magnitudes of synthetic records with known ground motion, and every refusal."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest

from lithoscope.errors import DataError
from lithoscope.geo import LocalProjection
from lithoscope.magnitude import (
    MagnitudeSettings,
    attenuation,
    correct_stations,
    local_magnitudes,
)
from lithoscope.magnitude.blocks import BlockReader
from lithoscope.schema import ARRIVALS, CHANNELS, EVENTS, STATIONS
from lithoscope.stations import Inventory
from lithoscope.waveforms import Record

T0 = 1_562_259_775_000_000_000
S = 1_000_000_000
RATE, GAIN, VP = 100.0, 6.0e8, 6.0
PLANE = LocalProjection(-117.5, 35.7)


@dataclass
class Network:
    """Stations on a line east of the events, and the bursts that each records."""

    distances_km: dict[str, float]
    gain: dict[str, float] = field(default_factory=dict)
    unit: dict[str, str] = field(default_factory=dict)
    noise_m: float = 2e-10
    start: int = T0 - 60 * S
    seconds: float = 400.0
    bursts: list[tuple[str, int, float]] = field(default_factory=list)  # station, time, metres
    changes: dict[str, dict] = field(default_factory=dict)  # fields of the records of a station

    def inventory(self) -> Inventory:
        stations, channels = [], []
        for code, distance in self.distances_km.items():
            lon, lat = PLANE.inverse(distance, 0.0)
            stations.append(
                {
                    "station": code,
                    "longitude": float(lon),
                    "latitude": float(lat),
                    "elevation_m": 0.0,
                }
            )
            for component in "ZNE":
                channels.append(
                    {
                        "channel": code + component,
                        "station": code,
                        "gain": self.gain.get(code, GAIN),
                        "unit": self.unit.get(code, "m/s"),
                    }
                )
        return Inventory(STATIONS.table(stations), CHANNELS.table(channels))

    def read(self, station: str, start_ns: int, end_ns: int) -> list[Record]:
        if station not in self.distances_km:
            raise DataError(f"station '{station}' is not in the archive")
        n = int(self.seconds * RATE)
        t = np.arange(n) / RATE
        seed = sum(map(ord, station))
        noise = np.random.default_rng(seed).normal(0.0, self.noise_m, (3, n))
        velocity = np.gradient(noise, 1 / RATE, axis=1)
        w, k = 2 * np.pi * 5.0, np.pi / 1.5
        for code, time, metres in self.bursts:
            if code == station:
                # Displacement sin(w x) under the smooth envelope sin(k x)**2, 1.5 s long; its
                # derivative is exact.
                x = t - (time - self.start) / S
                rise = k * np.sin(2 * k * x) * np.sin(w * x)
                carrier = np.sin(k * x) ** 2 * w * np.cos(w * x)
                velocity += metres * np.where((x > 0) & (x < 1.5), rise + carrier, 0.0)
        record = Record(
            station,
            self.start,
            RATE,
            (velocity * self.gain.get(station, GAIN)).astype(np.float32),
            np.ones(3, bool),
            (station + "Z", station + "N", station + "E"),
            np.zeros(3, bool),
        )
        record = replace(record, **self.changes.get(station, {}))
        cut = record.cut(start_ns, end_ns)
        return [cut] if cut.n_samples else []


def event(name: str = "a", origin: int = T0, n: int = 6, depth_km: float = 8.0, **more) -> dict:
    return {
        "event_id": name,
        "time": pd.Timestamp(origin, tz="UTC"),
        "longitude": -117.5,
        "latitude": 35.7,
        "depth_km": depth_km,
        "time_sigma_s": 0.1,
        "east_sigma_km": 0.3,
        "north_sigma_km": 0.3,
        "depth_sigma_km": 0.5,
        "n_p": n // 2,
        "n_s": n // 2,
    } | more


def s_time(distance_km: float, origin: int = T0, depth_km: float = 8.0) -> int:
    return origin + round(np.hypot(distance_km, depth_km) / VP * 1.73 * S)


def arrivals_of(row: dict, network: Network, stations: list[str] | None = None) -> list[dict]:
    rows = []
    for code in stations or network.distances_km:
        distance = network.distances_km[code]
        origin = row["time"].value
        s = s_time(distance, origin, row["depth_km"])
        p = origin + round((s - origin) / 1.73)
        for phase, time in (("P", p), ("S", s)):
            rows.append(
                {
                    "event_id": row["event_id"],
                    "pick_id": f"{code}/{phase}/{time}",
                    "station": code,
                    "phase": phase,
                    "time": pd.Timestamp(time, tz="UTC"),
                    "distance_km": distance,
                    "azimuth_deg": 90.0,
                    "residual_s": 0.0,
                    "weight": 0.9,
                }
            )
    return rows


def measure(network: Network, events: list[dict] | None = None, **settings):
    events = events or [event()]
    arrivals = [a for e in events for a in arrivals_of(e, network)]
    return local_magnitudes(
        EVENTS.table(events),
        ARRIVALS.table(arrivals),
        network.inventory(),
        network.read,
        MagnitudeSettings(**settings),
    )


def true_magnitude(metres: float, distance_km: float, depth_km: float = 8.0) -> float:
    """Magnitude of a 5 Hz burst by the Wood-Anderson's own gain at 5 Hz (closed form)."""
    w, w0, h = 2 * np.pi * 5.0, 2 * np.pi / 0.8, 0.7
    gain = 2080.0 * w**2 / abs(w0**2 - w**2 + 2j * h * w0 * w)
    r = np.hypot(distance_km, depth_km)
    return np.log10(metres * 1000.0 * gain) + float(attenuation("iaspei_ml")(r))


FOUR = {"XX.A..HH": 12.0, "XX.B..HH": 25.0, "XX.C..HH": 40.0, "XX.D..HH": 80.0}


def shaken(metres: float = 2e-6, origin: int = T0, **kwargs) -> Network:
    """Four stations that all record the same magnitude."""
    network = Network(dict(FOUR), **kwargs)
    shake(network, metres, origin)
    return network


def shake(network: Network, metres: float, origin: int) -> None:
    target = true_magnitude(metres, 12.0)
    for code, distance in network.distances_km.items():
        scaled = metres * 10 ** (target - true_magnitude(metres, distance))
        network.bursts.append((code, s_time(distance, origin), scaled))


def test_known_ground_motion_gives_the_known_magnitude():
    events, rows = measure(shaken())
    truth = true_magnitude(2e-6, 12.0)
    # The peak of a 7.5 cycle burst stays within 2 % of its steady state: 0.01 units.
    assert rows["magnitude"].to_numpy() == pytest.approx(truth, abs=0.01)
    assert rows["used"].all()
    assert (rows["reason"] == "").all()
    row = events.iloc[0]
    assert row["magnitude"] == pytest.approx(truth, abs=0.01)
    assert (row["magnitude_type"], row["n_magnitudes"], row["magnitude_reason"]) == ("ML", 4, "")
    # Four stations that agree: the sigma still comes from the expected scatter of 0.3.
    assert 0.05 < row["magnitude_sigma"] < 0.3 / np.sqrt(4)
    peak = rows["amplitude_time"].astype("int64") - np.array([s_time(d) for d in FOUR.values()])
    assert ((peak > 0) & (peak < 1.5 * S)).all()


def test_ten_times_the_motion_is_one_unit_more():
    small, big = measure(shaken(1e-6))[0], measure(shaken(1e-5))[0]
    assert big["magnitude"].iloc[0] - small["magnitude"].iloc[0] == pytest.approx(1.0, abs=0.005)


def test_station_corrections_are_added():
    plain = measure(shaken())[1].set_index("station")["magnitude"]
    moved = measure(shaken(), station_corrections={"XX.B": -0.4})[1].set_index("station")
    assert (moved["magnitude"] - plain)["XX.B..HH"] == pytest.approx(-0.4)
    assert (moved["magnitude"] - plain)["XX.A..HH"] == 0.0


@pytest.mark.parametrize(
    ("network", "settings", "reason"),
    [
        (shaken(gain={"XX.A..HH": np.nan}), {}, "no response"),
        (shaken(unit={"XX.A..HH": "PA"}), {}, "unit not convertible"),
        (shaken(unit={"XX.A..HH": ""}), {}, "unit"),
        (
            shaken(changes={"XX.A..HH": {"clipped": np.array([False, True, False])}}),
            {},
            "clipped: N",
        ),
        (shaken(), {"min_distance_km": 20.0}, "outside the distance range"),
        (
            shaken(changes={"XX.A..HH": {"mask": np.zeros(3, bool)}}),
            {},
            "no horizontal component",
        ),
        (
            shaken(changes={"XX.A..HH": {"mask": np.array([True, False, False])}}),
            {"vertical": "never"},
            "no horizontal component",
        ),
        (shaken(changes={"XX.A..HH": {"starttime_ns": T0 + S}}), {}, "no data: a gap"),
        (shaken(changes={"XX.A..HH": {"starttime_ns": T0 + 900 * S}}), {}, "no data: none"),
    ],
)
def test_one_station_is_refused_with_its_reason(network, settings, reason):
    events, rows = measure(network, **settings)
    bad = rows[rows["station"] == "XX.A..HH"].iloc[0]
    assert bad["reason"].startswith(reason)
    assert not bad["used"]
    assert np.isnan(bad["magnitude"])
    assert "\n" not in bad["reason"]
    assert events["n_magnitudes"].iloc[0] == 3
    assert events["magnitude"].iloc[0] == pytest.approx(true_magnitude(2e-6, 12.0), abs=0.01)


def test_low_signal_to_noise_is_refused():
    network = shaken(4e-10)
    events, rows = measure(network)
    assert rows["reason"].str.startswith("low signal to noise").all()
    assert np.isnan(events["magnitude"].iloc[0])
    assert events["magnitude_reason"].iloc[0].startswith("no usable station of 4: 4 low signal")


def test_microseism_does_not_hide_a_small_event():
    """Slow noise above the signal: the high-passed trace counts, 0.05 units below the truth."""
    network = shaken(2e-8)
    t = np.arange(int(network.seconds * RATE)) / RATE
    slow = np.gradient(1e-6 * np.sin(2 * np.pi * 0.25 * t), 1 / RATE) * GAIN
    for code in FOUR:
        still = network.read(code, network.start, network.start + 400 * S)[0]
        network.changes[code] = {"data": (still.data + slow).astype(np.float32)}
    without, _ = measure(network, highpass_hz=0.0)
    with_filter, rows = measure(network)
    truth = true_magnitude(2e-8, 12.0)
    assert with_filter["magnitude"].iloc[0] == pytest.approx(truth, abs=0.05)
    assert rows["used"].sum() >= 2
    assert np.isnan(without["magnitude"].iloc[0]) or without["magnitude"].iloc[0] > truth + 0.3


def test_a_horizontal_that_hardly_moves_is_noticed():
    network = shaken()
    whole = network.read("XX.A..HH", network.start, network.start + 400 * S)[0].data.copy()
    whole[2] /= 30.0
    network.changes["XX.A..HH"] = {"data": whole}
    rows = measure(network)[1].set_index("station")
    assert rows.loc["XX.A..HH", "reason"] == "horizontals disagree: by a factor of 30"


def test_a_clipped_sensor_gives_way_to_the_strong_motion_sensor():
    network = shaken(changes={"XX.A..HH": {"clipped": np.array([True, True, True])}})
    network.distances_km["XX.A..HN"] = 12.0
    network.bursts.append(("XX.A..HN", s_time(12.0), 2e-6))
    one = event()
    arrivals = arrivals_of(one, network, list(FOUR))
    events, rows = local_magnitudes(
        EVENTS.table([one]), ARRIVALS.table(arrivals), network.inventory(), network.read
    )
    by_code = rows.set_index("station")
    assert by_code.loc["XX.A..HH", "reason"].startswith("clipped")
    assert by_code.loc["XX.A..HN", "used"]
    assert events["n_magnitudes"].iloc[0] == 4


def test_mostly_clipped_is_said():
    flags = {"clipped": np.array([True, True, True])}
    network = shaken(changes=dict.fromkeys(list(FOUR)[:3], flags))
    events, _ = measure(network)
    assert events["magnitude_reason"].iloc[0] == "may be too small: 3 of 4 stations are clipped"
    assert np.isfinite(events["magnitude"].iloc[0])


def test_vertical_only_stations_are_of_their_own_type():
    flags = {"mask": np.array([True, False, False])}
    events, rows = measure(shaken(changes=dict.fromkeys(FOUR, flags)), vertical_correction=0.1)
    assert set(rows["magnitude_type"]) == {"MLv"}
    assert rows["channel"].str.endswith("Z").all()
    assert events["magnitude_type"].iloc[0] == "MLv"
    assert events["magnitude"].iloc[0] == pytest.approx(true_magnitude(2e-6, 12) + 0.1, abs=0.01)


def test_a_station_that_has_no_metadata():
    network = shaken()
    inventory = network.inventory()
    known = inventory.stations[inventory.stations["station"] != "XX.A..HH"]
    inventory = Inventory(known.reset_index(drop=True), inventory.channels)
    one = event()
    _, rows = local_magnitudes(
        EVENTS.table([one]),
        ARRIVALS.table(arrivals_of(one, network)),
        inventory,
        network.read,
    )
    assert rows.set_index("station").loc["XX.A..HH", "reason"].startswith("no coordinates")


def test_all_stations_on_request():
    network = shaken()
    one = event()
    tables = EVENTS.table([one]), ARRIVALS.table(arrivals_of(one, network, ["XX.A..HH"]))
    inventory = network.inventory()
    some, _ = local_magnitudes(*tables, inventory, network.read)
    everywhere, _ = local_magnitudes(
        *tables, inventory, network.read, MagnitudeSettings(stations="all")
    )
    assert some["n_magnitudes"].iloc[0] == 1
    assert everywhere["n_magnitudes"].iloc[0] == 4
    truth = true_magnitude(2e-6, 12.0)
    assert everywhere["magnitude"].iloc[0] == pytest.approx(truth, abs=0.01)


def test_a_small_event_after_a_large_one_keeps_its_own_amplitude():
    network = shaken(1e-4, T0)
    later = T0 + 60 * S
    shake(network, 1e-6, later)
    events, _ = measure(network, [event("big"), event("small", later)])
    found = events.set_index("event_id")["magnitude"]
    assert found["big"] == pytest.approx(true_magnitude(1e-4, 12.0), abs=0.01)
    assert found["small"] == pytest.approx(true_magnitude(1e-6, 12.0), abs=0.02)


def test_a_small_event_before_a_large_one_keeps_its_own_amplitude():
    """The large event's P comes 14 s after the small origin, inside the small one's windows."""
    network = shaken(1e-6, T0)
    later = T0 + 14 * S
    shake(network, 1e-4, later)
    both = [event("small"), event("big", later)]
    events, rows = measure(network, both)
    found = events.set_index("event_id")["magnitude"]
    assert found["small"] == pytest.approx(true_magnitude(1e-6, 12.0), abs=0.02)
    assert found["big"] == pytest.approx(true_magnitude(1e-4, 12.0), abs=0.01)
    assert rows["used"].sum() >= 6


def test_two_events_that_cannot_be_told_apart_are_refused():
    network = shaken(1e-6, T0)
    shake(network, 1e-4, T0 + S // 4)
    events, rows = measure(network, [event("small"), event("big", T0 + S // 4)])
    small = rows[rows["event_id"] == "small"]
    assert (small["reason"] == "overlapping event: big may be larger").all()
    assert events.set_index("event_id").loc["small", "magnitude_reason"] != ""


def test_an_event_with_few_arrivals_does_not_disturb_a_large_one():
    network = shaken(1e-4, T0)
    both = [event("big", n=20), event("ghost", T0 + S // 4, n=4)]
    events, _ = measure(network, both)
    found = events.set_index("event_id")["magnitude"]
    assert found["big"] == pytest.approx(true_magnitude(1e-4, 12.0), abs=0.01)
    assert np.isnan(found["ghost"])


def test_parts_of_the_catalogue_give_what_the_whole_gives():
    network = shaken(1e-6, T0)
    times = {"a": T0, "b": T0 + 14 * S, "c": T0 + 15 * S, "d": T0 + 70 * S}
    for i, time in enumerate(list(times.values())[1:]):
        shake(network, 3.0**i * 1e-6, time)
    rows = [event(name, time) for name, time in times.items()]
    events = EVENTS.table(rows)
    arrivals = ARRIVALS.table([a for r in rows for a in arrivals_of(r, network)])
    inventory = network.inventory()
    whole, whole_rows = local_magnitudes(events, arrivals, inventory, network.read)
    for i in range(len(events)):
        one = events.iloc[[i]]
        mine = arrivals[arrivals["event_id"] == one["event_id"].iloc[0]]
        part, part_rows = local_magnitudes(one, mine, inventory, network.read, others=events)
        pd.testing.assert_frame_equal(part, whole.iloc[[i]].reset_index(drop=True))
        same = whole_rows[whole_rows["event_id"] == one["event_id"].iloc[0]]
        pd.testing.assert_frame_equal(part_rows, same.reset_index(drop=True))


def test_blocks_give_the_samples_of_a_direct_read():
    network = shaken()
    blocks = BlockReader(network.read)
    for start, seconds in ((T0, 30), (T0 + 137 * S + 5_000_000, 60), (T0 + 100 * S, 1000)):
        (a,) = blocks("XX.A..HH", start, start + seconds * S)
        (b,) = network.read("XX.A..HH", start, start + seconds * S)
        assert a.starttime_ns == b.starttime_ns
        np.testing.assert_array_equal(a.data, b.data)
    with pytest.raises(DataError):
        blocks("XX.NONE..HH", T0, T0 + S)


def test_no_events_and_no_arrivals():
    network = shaken()
    inventory = network.inventory()
    events, rows = local_magnitudes(EVENTS.empty(), ARRIVALS.empty(), inventory, network.read)
    assert len(events) == len(rows) == 0
    events, rows = local_magnitudes(
        EVENTS.table([event()]), ARRIVALS.empty(), inventory, network.read
    )
    assert len(rows) == 0
    assert events["magnitude_reason"].iloc[0].startswith("no station to measure")


def test_unknown_depth_and_picks_of_s_alone():
    network = shaken()
    one = event(depth_km=float("nan"))
    arrivals = ARRIVALS.table(arrivals_of(event(), network))
    arrivals = arrivals[arrivals["phase"] == "S"]
    events, rows = local_magnitudes(
        EVENTS.table([one]), arrivals, network.inventory(), network.read
    )
    assert rows["used"].all()
    assert np.isfinite(events["magnitude"].iloc[0])


def test_the_catalogue_corrects_its_own_stations():
    """One station reads four times too low; with corrections all agree and the level stays."""
    network = shaken(1e-6, T0)
    times = {f"e{i:02d}": T0 + (20 + 25 * i) * S for i in range(11)}
    network.bursts.clear()
    for time in times.values():
        shake(network, 2e-6, time)
    network.bursts = [(c, t, m / 4 if c == "XX.B..HH" else m) for c, t, m in network.bursts]
    events, rows = measure(network, [event(name, time) for name, time in times.items()])
    corrected, new_rows = correct_stations(events, rows)
    truth = true_magnitude(2e-6, 12.0)
    assert corrected["magnitude"].to_numpy() == pytest.approx(truth, abs=0.02)
    by_station = new_rows.groupby("station")["magnitude"].median()
    assert by_station.to_numpy() == pytest.approx(truth, abs=0.02)
    assert (events["magnitude"] < truth - 0.05).all()
    same, _ = correct_stations(events, rows, MagnitudeSettings(correction_events=0))
    pd.testing.assert_frame_equal(same, events)
    few, _ = correct_stations(events.iloc[:3], rows[rows["event_id"].isin(events["event_id"][:3])])
    pd.testing.assert_frame_equal(few, events.iloc[:3])
    empty, _ = correct_stations(events.iloc[:0], rows.iloc[:0])
    assert empty.empty
