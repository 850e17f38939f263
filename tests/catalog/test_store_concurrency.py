"""Several processes on one store: whole states for readers, turns for writers, nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from random_catalogs import example_catalog
from test_store_versions import CATALOG, IDS, one

from lithoscope.catalog import Catalog, EventQuery, Store

HERE = Path(__file__).parent
# Each round makes a version of every event with one depth, so a reader can tell a mixture.
WRITER = """
import sys
sys.path.insert(0, {here!r})
from test_store_versions import CATALOG, one
from lithoscope.catalog import Store
with Store({url!r}) as store:
    for depth in range({first}, {last}):
        for number in range(2):
            change = store.put_event(one(CATALOG, number, depth_km=float(depth)))
            print(change.sequence, flush=True)
"""


def writer(url: str, first: int, last: int) -> subprocess.Popen:
    text = WRITER.format(here=str(HERE), url=url, first=first, last=last)
    return subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_writers_and_a_reader(store):
    """Two processes write the same events at once, while this one reads without an error."""
    store.write(Catalog(stations=CATALOG.stations))
    processes = [writer(store.url, 100, 106), writer(store.url, 200, 206)]
    seen = 0
    while any(process.poll() is None for process in processes):
        changes = store.changes(after=seen)
        # Nothing becomes visible behind what a follower has seen already.
        assert [c.sequence for c in changes] == list(range(seen + 1, seen + 1 + len(changes)))
        seen += len(changes)
        catalog = store.read()
        for name in set(catalog.events["event_id"]):
            assert (catalog.arrivals["event_id"] == name).sum() == 8
    printed = []
    for process in processes:
        out, error = process.communicate()
        assert process.returncode == 0, error
        printed += [int(line) for line in out.split()]
    assert sorted(printed) == list(range(1, 25))
    assert store.sequence() == 24
    for number in range(2):
        versions = store.versions(IDS[number])
        assert list(versions["version"]) == list(range(1, 13))
        depths = set(versions["depth_km"])
        assert depths == {float(d) for d in (*range(100, 106), *range(200, 206))}


def test_a_killed_writer_loses_nothing_that_it_reported(store):
    store.write(Catalog(stations=CATALOG.stations))
    process = writer(store.url, 100, 10_000)
    assert process.stdout is not None
    reported = [int(process.stdout.readline()) for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    rest = process.communicate()[0].split()
    reported += [int(line) for line in rest]
    # One more may have been committed but not printed.
    assert store.sequence() in (reported[-1], reported[-1] + 1)
    catalog = store.read()
    assert len(catalog.arrivals) == 16
    assert store.put_event(one(CATALOG, 3)).sequence == store.sequence()


def test_readers_do_not_wait_for_a_writer(store):
    """A reader in the middle of a long write sees the state before it, at once."""
    store.write(CATALOG)
    with Store(store.url) as other, store.database.writing() as connection:
        connection.execute(store.layout.events.delete())
        answers: list[object] = []
        thread = threading.Thread(target=lambda: answers.append(other.count(EventQuery())))
        thread.start()
        thread.join(timeout=60)
        assert answers == [4]
    assert store.count(EventQuery()) == 0


def test_a_read_of_many_tables_is_of_one_moment(store):
    """A catalogue read while another takes its place is the old one or the new one."""
    first, second = example_catalog(n_events=3, seed=1), example_catalog(n_events=3, seed=2)
    store.write(first)
    stop = threading.Event()

    def write() -> None:
        with Store(store.url) as mine:
            for _ in range(4):
                mine.write(second)
                mine.write(first)
        stop.set()

    thread = threading.Thread(target=write)
    thread.start()
    n = 0
    while not stop.is_set() or n == 0:
        found = store.read()
        assert found.equals(first) or found.equals(second)
        n += 1
    thread.join()


def test_threads_share_a_store(store):
    store.write(CATALOG)
    errors: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(5):
                assert store.count(EventQuery(limit=1)) == 4
                assert len(store.event(IDS[0]).arrivals) == 8
        except BaseException as error:  # noqa: BLE001 - a thread's failure must reach the test
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_opens_connections_of_its_own(store):
    store.write(CATALOG)
    store.count(EventQuery())
    text = (
        "import os, sys\n"
        "from lithoscope.catalog import EventQuery, Store\n"
        f"store = Store({store.url!r})\n"
        "n = store.count(EventQuery())\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(store.count(EventQuery()))\n"
        "code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "sys.exit(0 if code == n == store.count(EventQuery()) else 1)\n"
    )
    assert subprocess.run([sys.executable, "-c", text]).returncode == 0
