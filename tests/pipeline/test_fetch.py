"""`fetch`: nothing lost or asked twice, gaps asked again, what is missing listed."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from dask_cluster import wait_for
from fdsn_server import FdsnTestServer
from obspy import Trace, UTCDateTime

from lithoscope.errors import ConfigError, DataError, StorageError
from lithoscope.pipeline.fetch import Selection, fetch, sds_path
from lithoscope.stations import read_stations
from lithoscope.waveforms import index_archive, read_records
from lithoscope.waveforms.fdsn import USER_AGENT, FdsnServer, ServerAwayError

DAYS = ("2024-02-28", "2024-02-29", "2024-03-01")
RATE_HZ = 2.0
CHANNELS = ("XX.AAA..HHN", "XX.AAA..HHZ", "XX.BBB.10.HHZ")


def ns(text: str) -> int:
    return pd.Timestamp(text, tz="UTC").value


def make_traces() -> list[Trace]:
    """Return three days: AAA whole, BBB without the second day and an hour of the third."""
    rng = np.random.default_rng(4)
    n = round(3 * 86_400 * RATE_HZ)
    start = UTCDateTime(DAYS[0])
    traces = []
    for identity in CHANNELS:
        network, station, location, code = identity.split(".")
        header = {"network": network, "station": station, "location": location, "channel": code}
        header |= {"starttime": start, "sampling_rate": RATE_HZ}
        trace = Trace(rng.integers(-1000, 1000, n, dtype=np.int32), header)
        if station == "BBB":
            last = start + 86_400 - 1 / RATE_HZ
            traces.append(trace.slice(start, last))
            traces.append(trace.slice(start + 2 * 86_400, start + 2.25 * 86_400 - 0.5))
            traces.append(trace.slice(start + 2.25 * 86_400 + 3600))
        else:
            traces.append(trace)
    return traces


@pytest.fixture
def server():
    server = FdsnTestServer(make_traces(), ("2020-01-01", None))
    yield server
    server.stop()


def client(server: FdsnTestServer, **options) -> FdsnServer:
    options = {"url": server.url, "requests_per_s": 50.0, "pauses_s": (0.0, 0.0), **options}
    return FdsnServer(**options)


def selection(channel: str = "HH?", station: str = "*", end: str = "2024-03-02") -> Selection:
    return Selection("XX", station, "*", channel, ns(DAYS[0]), ns(end))


def archive_of(path: Path) -> dict[str, bytes]:
    files = (p for p in (path / "waveforms").rglob("*") if p.is_file())
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


def test_an_sds_archive_with_what_is_missing(server, tmp_path: Path) -> None:
    result = fetch(selection(), tmp_path, client(server), retries=2)
    assert result.outcomes == {"complete": 7, "partial": 1, "empty": 1, "refused": 0}
    # What is missing, to the sample, asked for once and twice more.
    listed = pd.read_csv(tmp_path / "missing.csv", parse_dates=["starttime", "endtime"])
    assert listed["channel"].tolist() == ["XX.BBB.10.HHZ"] * 2
    assert listed["outcome"].tolist() == ["empty", "partial"]
    assert listed["missing_s"].tolist() == [86_400.0, 3600.0]
    assert listed["starttime"].tolist() == [
        pd.Timestamp("2024-02-29", tz="UTC"),
        pd.Timestamp("2024-03-01T06:00", tz="UTC"),
    ]
    assert listed["attempts"].tolist() == [3, 3]
    assert len(server.queries) == 9 + 2 * 2
    hours = [q for q in server.queries if q["starttime"].startswith("2024-03-01T06")]
    assert len(hours) == 2  # only the gap itself is asked for again
    # Polite: one request at a time, and who asks is known.
    assert server.most_at_once == 1
    assert server.agents == {USER_AGENT}
    # A run reads it: the samples are those of the server.
    archive = index_archive([tmp_path / "waveforms"])
    assert archive.problems["problem"].tolist() == ["gap"]
    records, _ = read_records(archive, "XX.AAA..HH")
    assert len(records) == 1
    z = next(t for t in server.traces if t.id == "XX.AAA..HHZ")
    np.testing.assert_array_equal(records[0].data[0], z.data.astype(np.float32))
    inventory = read_stations([tmp_path / "stations"], codes=archive.stations())
    assert set(inventory.stations["station"]) == {"XX.AAA..HH", "XX.BBB.10.HH"}
    assert (inventory.channels["gain"] > 0).all()
    names = {p.name for p in (tmp_path / "waveforms/2024/XX/AAA/HHZ.D").iterdir()}
    assert names == {f"XX.AAA..HHZ.D.2024.{day:03d}" for day in (59, 60, 61)}


def test_a_second_time_nothing_is_asked_again(server, tmp_path: Path) -> None:
    first = fetch(selection(), tmp_path, client(server), retries=0)
    asked, held = len(server.queries), archive_of(tmp_path)
    again = fetch(selection(), tmp_path, client(server), retries=0)
    assert len(server.queries) == asked == 9
    assert archive_of(tmp_path) == held
    pd.testing.assert_frame_equal(again.missing, first.missing)
    # A removed file is fetched again, and more retries ask again for what was missing.
    (tmp_path / "waveforms" / sds_path("XX.AAA..HHZ", DAYS[1])).unlink()
    fetch(selection(), tmp_path, client(server), retries=1)
    assert archive_of(tmp_path) == held
    assert len(server.queries) == asked + 3
    # A new channel or time is added to the same archive.
    server.station_queries.clear()
    fetch(selection(end="2024-03-03"), tmp_path, client(server), retries=0, now_ns=ns("2024-04-01"))
    assert len(server.queries) == asked + 3 + 3
    assert [q["level"] for q in server.station_queries] == ["channel"]  # the rest is there


def test_a_gap_that_the_server_fills_later(server, tmp_path: Path) -> None:
    def late(number: int, query: dict[str, str]) -> tuple[int, bytes] | None:
        hidden = ("2024-02-28T05:00:00", "2024-02-28T06:00:00")
        return server.records(query, hidden) if number == 1 else None

    server.fault = late
    result = fetch(selection("HHZ", "AAA", DAYS[1]), tmp_path, client(server), retries=1)
    assert result.outcomes["complete"] == 1
    assert [q["starttime"][11:13] for q in server.queries] == ["00", "05"]
    held = obspy.read(str(tmp_path / "waveforms/2024/XX/AAA/HHZ.D/*")).merge(-1)
    assert len(held) == 1
    assert held[0].stats.npts == 86_400 * RATE_HZ


def test_passing_faults_are_waited_for_and_refusals_listed(server, tmp_path: Path) -> None:
    def faults(number: int, query: dict[str, str]) -> tuple[int, bytes] | None:
        if query["station"] == "BBB":
            return 403, b"restricted"
        answers = {
            1: (503, b"busy"),
            2: (429, b"slower"),
            4: (200, server.records(query)[1][:-100]),
        }
        return answers.get(number)

    server.fault = faults
    waits: list[float] = []
    polite = client(server, sleep=waits.append, pauses_s=(1.5, 2.5))
    result = fetch(selection("HHZ", end=DAYS[1]), tmp_path, polite, retries=0)
    assert result.outcomes == {"complete": 1, "partial": 0, "empty": 0, "refused": 1}
    assert "restricted" in result.missing["reason"].iloc[0] or result.missing["reason"].iloc[0]
    assert [w for w in waits if w in (1.5, 2.5)] == [1.5, 2.5]


def test_a_cut_answer_is_asked_for_again(server, tmp_path: Path) -> None:
    server.fault = lambda n, query: (200, server.records(query)[1][:-100]) if n == 1 else None
    result = fetch(selection("HHZ", "AAA", DAYS[1]), tmp_path, client(server), retries=0)
    assert result.outcomes["complete"] == 1
    assert len(server.queries) == 2


def test_a_server_that_goes_away_costs_nothing(server, tmp_path: Path) -> None:
    server.fault = lambda number, query: (503, b"") if number > 3 else None
    with pytest.raises(ServerAwayError, match=r"does not answer .* what was received is kept"):
        fetch(selection(), tmp_path, client(server))
    assert len(archive_of(tmp_path)) == 3
    server.fault = lambda number, query: None
    server.queries.clear()
    result = fetch(selection(), tmp_path, client(server), retries=0)
    assert len(server.queries) == 9 - 3
    assert result.outcomes["complete"] == 7


def test_requests_keep_their_distance(server, tmp_path: Path) -> None:
    now, begun = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        now[0] += seconds
        begun.append(now[0])

    def clock() -> float:
        now[0] += 0.001  # time passes while others work, too
        return now[0]

    polite = client(server, requests_per_s=4.0, sleep=sleep, clock=clock)
    fetch(selection(), tmp_path, polite, retries=0)
    assert len(begun) == 9 + 3  # for data and for stations
    assert np.diff(begun).min() >= 0.25


def test_killed_at_any_moment_and_resumed(server, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    fetch(selection(), whole, client(server), retries=0)
    server.queries.clear()
    words = [sys.executable, "-m", "lithoscope", "fetch", "--url", server.url, "--network", "XX"]
    words += ["--channel", "HH?", "--start", DAYS[0], "--end", "2024-03-02", "--retries", "0"]
    words += ["--requests-per-s", "50", "-o", str(tmp_path / "killed")]
    for n_requests in (2, 6):
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(lambda n=n_requests: len(server.queries) >= n)
            finally:
                process.kill()
    # A kill in the middle of a write leaves its temporary file.
    (tmp_path / "killed" / "waveforms" / ".half.mseed.1.part").write_bytes(b"half")
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "7 complete, 1 partial, 1 empty" in done.stdout
    assert archive_of(tmp_path / "killed") == archive_of(whole)
    # Each kill costs the request that was under way, at most.
    assert 9 <= len(server.queries) <= 9 + 2


def test_a_torn_journal_is_read_as_far_as_it_goes(server, tmp_path: Path) -> None:
    fetch(selection(), tmp_path, client(server), retries=0)
    journal, asked = tmp_path / "fetch.jsonl", len(server.queries)
    journal.write_bytes(journal.read_bytes()[:-40])
    fetch(selection(), tmp_path, client(server), retries=0)
    # Its file is there, so one request is made at most, and the journal is whole again.
    assert len(server.queries) - asked <= 1
    fetch(selection(), tmp_path, client(server), retries=0)
    assert len(server.queries) - asked <= 1


def test_wrong_use_is_one_line(server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no channel matches"):
        fetch(selection("BH?"), tmp_path, client(server))
    with pytest.raises(ConfigError, match="later --end"):
        fetch(selection(end="2024-01-01"), tmp_path, client(server))
    with pytest.raises(ServerAwayError, match="no FDSN station service was found"):
        fetch(selection(), tmp_path, FdsnServer("http://127.0.0.1:9"))
    with pytest.raises(ServerAwayError, match="no FDSN station service was found at 'nonsense'"):
        fetch(selection(), tmp_path, FdsnServer("nonsense"))
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="in the way"):
        fetch(selection(), tmp_path / "file", client(server))


PEER = Path(sys.executable).with_name("portable-fdsnws-dataselect")
INDEXER = Path(sys.executable).with_name("mseedindex")


@pytest.fixture
def peer(server, tmp_path: Path):
    """Return the URL of EarthScope's portable dataselect server with the same data."""
    if not (PEER.exists() and INDEXER.exists()):
        pytest.skip("portable-fdsnws-dataselect and mseedindex are not installed")
    folder = tmp_path / "peer"
    folder.mkdir()
    for number, trace in enumerate(server.traces):
        trace.write(str(folder / f"{number}.mseed"), format="MSEED", reclen=512)
    files = sorted(str(p) for p in folder.glob("*.mseed"))
    index = folder / "index.sqlite"
    subprocess.run([INDEXER, "-sqlite", index, *files], check=True, capture_output=True)
    with closing(sqlite3.connect(index)) as database:
        assert database.execute("select count(*) from tsindex").fetchone()[0] >= 5
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "server.ini"
    config.write_text(
        f"[index_db]\npath = {index}\ntable = tsindex\n"
        f"[server]\ninterface = 127.0.0.1\nport = {port}\nrequest_limit = 0\n"
        f"[logging]\npath = {folder / 'log.txt'}\nlevel = INFO\n"
    )
    process = subprocess.Popen([PEER, config], stdout=subprocess.DEVNULL, cwd=folder)
    try:
        wait_for(lambda: answers(port) or process.poll() is not None)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def test_earthscopes_portable_server(server, peer: str, tmp_path: Path) -> None:
    """It has no station service, and answers any address with a page of its own."""
    result = fetch(
        selection(), tmp_path / "archive", client(server, url=peer, station_url=server.url)
    )
    assert result.outcomes == {"complete": 7, "partial": 1, "empty": 1, "refused": 0}
    assert server.queries == []
    archive = index_archive([tmp_path / "archive" / "waveforms"])
    for trace in server.traces:
        network, station, location, code = trace.id.split(".")
        records, _ = read_records(
            archive,
            f"{network}.{station}.{location}.{code[:-1]}",
            trace.stats.starttime.ns,
            trace.stats.endtime.ns + 10**8,
        )
        row = "ZNE".index(code[-1])
        np.testing.assert_array_equal(records[0].data[row], trace.data.astype(np.float32))
    with pytest.raises(ServerAwayError, match=r"no FDSN station service was found.*--station-url"):
        fetch(selection(), tmp_path / "archive", client(server, url=peer))
