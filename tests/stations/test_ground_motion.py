"""Counts to ground velocity and Wood-Anderson amplitudes, against ObsPy and closed forms."""

from __future__ import annotations

import numpy as np
import obspy
import pytest
from obspy.signal.invsim import simulate_seismometer

from lithoscope.schema import CHANNELS, PROBLEMS, STATIONS
from lithoscope.stations import (
    Inventory,
    StationSettings,
    read_stations,
    to_velocity,
    to_wood_anderson,
)
from lithoscope.waveforms import Record, index_archive, read_records

RATE, N = 100.0, 12_000
NAMES = ("XX.A..HHZ", "XX.A..HHN", "XX.A..HHE")


def inventory(unit: str = "m/s", gain: float = 1e9) -> Inventory:
    rows = [{"channel": c, "station": "XX.A..HH", "gain": gain, "unit": unit} for c in NAMES]
    return Inventory(STATIONS.empty(), CHANNELS.table(rows), {}, PROBLEMS.empty())


def record(values: np.ndarray) -> Record:
    data = np.tile(np.asarray(values, np.float32), (3, 1))
    return Record("XX.A..HH", 0, RATE, data, np.ones(3, bool), NAMES, np.zeros(3, bool))


def burst(frequency: float) -> np.ndarray:
    """Return a wave of amplitude 1 in the middle third, with smooth ends."""
    t = np.arange(N) / RATE
    envelope = np.exp(-((np.maximum(np.abs(t - 60.0) - 15.0, 0.0) / 5.0) ** 2))
    return envelope * np.sin(2 * np.pi * frequency * t)


@pytest.mark.parametrize("frequency", [0.5, 1.25, 5.0, 20.0])
@pytest.mark.parametrize(("unit", "power"), [("m", -1), ("m/s", 0), ("m/s**2", 1)])
def test_wood_anderson_of_a_sine_is_the_pendulums_gain(frequency, unit, power):
    """Uhrhammer & Collins: 2080, 0.8 s, 0.7; a stationary sine has the closed-form amplitude."""
    gain = 2e8
    counts = 1e6 * burst(frequency)
    simulated = to_wood_anderson(record(counts), inventory(unit, gain))
    omega, corner = 2 * np.pi * frequency, 2 * np.pi / 0.8
    displacement = 1e6 / gain * omega ** (-power - 1)
    pendulum = omega**2 / np.hypot(corner**2 - omega**2, 2 * 0.7 * corner * omega)
    expected = 1000 * 2080 * displacement * pendulum
    middle = simulated.data[:, 5600:6400]
    assert simulated.methods == ("gain",) * 3
    amplitude = np.sqrt(2.0 * np.mean(middle**2, axis=1))  # whole cycles of every frequency here
    assert amplitude == pytest.approx(expected, rel=0.005)


def test_velocity_of_a_sine_keeps_amplitude_and_time():
    counts = 1e6 * burst(3.0)
    found = to_velocity(record(counts), inventory())
    assert found.unit == "m/s"
    assert np.abs(found.data[0] - counts / 1e9)[2000:10_000].max() < 2e-3 * 1e-3


def test_the_high_pass_is_where_it_says():
    """Wave packets narrower than 0.02 Hz, an octave below the corner and above it."""
    t = np.arange(N) / RATE - 60.0
    settings = StationSettings(highpass_hz=0.2)
    peaks = []
    for frequency in (0.05, 0.25):
        packet = 1e6 * np.exp(-0.5 * (t / 12.0) ** 2) * np.sin(2 * np.pi * frequency * t)
        peaks.append(np.abs(to_velocity(record(packet), inventory(), settings).data).max() / 1e-3)
    assert peaks[0] < 1e-3
    assert 0.95 < peaks[1] < 1.05


def test_against_obspy_simulate():
    """The same channel through obspy.signal.invsim (which has its own transfer function)."""
    counts = 1e5 * burst(2.0) + 3e4 * burst(7.0)
    gain = 6e8
    wood_anderson = {  # h = 0.7 and T = 0.8 s as poles, for velocity input
        "poles": [-5.49779 - 5.60886j, -5.49779 + 5.60886j],
        "zeros": [0j],
        "gain": 1.0,
        "sensitivity": 2080.0,
    }
    theirs = 1000 * simulate_seismometer(
        counts / gain, RATE, paz_simulate=wood_anderson, taper=True, taper_fraction=0.05
    )
    ours = to_wood_anderson(record(counts), inventory(gain=gain)).data[1]
    assert np.abs(ours - theirs)[2000:10_000].max() < 0.005 * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"unit": "Pa"}, "unit not convertible: Pa"),
        ({"unit": ""}, "unit of the gain unknown"),
        ({"gain": np.nan}, "no response and no gain"),
    ],
)
def test_refusals_have_a_reason(change, reason):
    found = to_wood_anderson(record(burst(2.0)), inventory(**change))
    assert not found.mask.any()
    assert found.reasons == (reason,) * 3
    assert not found.data.any()


def test_missing_and_unknown_channels_have_a_reason():
    source = record(burst(2.0))
    source.mask[2] = False
    known = inventory()
    only = Inventory(known.stations, known.channels.iloc[:1], {}, known.problems)
    found = to_wood_anderson(source, only)
    assert found.reasons == ("", "no metadata for this channel", "component missing")
    assert found.mask.tolist() == [True, False, False]


@pytest.mark.data
def test_full_response_agrees_with_gains_on_real_data(real_data):
    """Broadband responses are flat where a local Wood-Anderson amplitude is measured.

    The file's gains and the responses are of two origins; 5 % is 0.02 magnitude units.
    """
    folder = real_data("continuous/westmorland_2020")
    archive = index_archive(folder / "mseed")
    codes = archive.stations()
    full = read_stations(folder / "stations.xml", codes=codes)
    flat = read_stations(folder / "stations.csv", codes=codes)
    ratios = []
    for station in codes:
        source = read_records(archive, station)[0][0]
        a, b = to_wood_anderson(source, full), to_wood_anderson(source, flat)
        assert a.methods == ("response",) * 3
        assert b.methods == ("gain",) * 3
        ratios.append(np.abs(b.data).max(axis=1) / np.abs(a.data).max(axis=1))
    assert np.median(ratios) == pytest.approx(1.0, abs=0.02)
    assert np.percentile(np.abs(np.array(ratios) - 1.0), 90) < 0.05


@pytest.mark.data
def test_full_response_agrees_with_obspys_own_removal(real_data):
    """Same response, ObsPy's remove_response with the same band: equal but for the water level."""
    folder = real_data("continuous/westmorland_2020")
    archive = index_archive(folder / "mseed")
    station = archive.stations()[0]
    metadata = read_stations(folder / "stations.xml", codes=[station])
    source = read_records(archive, station)[0][0]
    ours = to_velocity(source, metadata).data[0]
    path = archive.of_station(station).iloc[0]["path"]
    stream = obspy.read(path).select(channel="HHZ")
    stream.detrend("linear")
    stream.remove_response(
        obspy.read_inventory(folder / "stations.xml"),
        output="VEL",
        water_level=None,
        pre_filt=(0.1, 0.2, 40.0, 47.5),
        zero_mean=False,
        taper_fraction=0.05,
    )
    theirs = stream[0].data
    inner = slice(1500, -1500)
    assert np.abs(ours - theirs)[inner].max() < 0.01 * np.abs(theirs[inner]).max()


@pytest.mark.data
def test_two_instruments_at_one_site_agree(real_data):
    """M4.4 at BK.BRIB: broadband velocity and accelerometer, two responses, one ground.

    The accelerometer's horizontals point to 15 and 105 degrees; the broadband's clip.
    """
    folder = real_data("events/usgs_gmprocess") / "tutorials" / "nc73291880" / "raw"
    archive = index_archive(sorted(folder.glob("BK.BRIB.*.mseed")))
    metadata = read_stations(folder / "BK.BRIB.xml", codes=archive.stations())
    found = {}
    for band in ("HH", "HN"):
        station = f"BK.BRIB.01.{band}"
        source = read_records(archive, station, channels=metadata.channels)[0][0]
        found[band] = to_wood_anderson(source, metadata)
    peaks = {band: np.abs(motion.data).max(axis=1) for band, motion in found.items()}
    assert found["HH"].clipped.tolist() == [False, True, True]
    assert not found["HN"].clipped.any()
    assert peaks["HN"][0] == pytest.approx(peaks["HH"][0], rel=0.01)
    assert peaks["HN"][1] > 1.2 * peaks["HH"][1]  # what clipping cut off
