"""Several processes on one store: whole states for readers, turns for writers, nothing lost."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable
from typing import TextIO

import pytest
from random_catalogs import example_catalog
from test_store_versions import CATALOG, IDS, one

from lithoscope.catalog import Catalog, EventQuery, Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def forked(work: Callable[[Callable[[int], None]], None]) -> tuple[int, TextIO]:
    """Do work in another process; return its id and what it says."""
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        # Newer Pythons warn of threads; this child touches nothing that they hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process == 0:
        code = 1
        try:
            os.close(read_end)
            with os.fdopen(write_end, "w") as out:
                work(lambda number: print(number, file=out, flush=True))
            code = 0
        finally:
            os._exit(code)
    os.close(write_end)
    return process, os.fdopen(read_end)


def writer(url: str, first: int, last: int) -> tuple[int, TextIO]:
    """Give two events one version after the other, each with a depth of its own."""

    def work(say: Callable[[int], None]) -> None:
        with Store(url) as store:
            for depth in range(first, last):
                for number in range(2):
                    change = store.put_event(one(CATALOG, number, depth_km=float(depth)))
                    say(change.sequence)

    return forked(work)


def exit_code(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_two_writers_and_a_reader(store):
    """Two processes write the same events at once, while this one reads without an error."""
    store.write(Catalog(stations=CATALOG.stations))
    processes = [writer(store.url, 100, 103), writer(store.url, 200, 203)]
    seen = 0
    while seen < 12:
        changes = store.changes(after=seen)
        # Nothing becomes visible behind what a follower has seen already.
        assert [c.sequence for c in changes] == list(range(seen + 1, seen + 1 + len(changes)))
        seen += len(changes)
        catalog = store.read()
        for name in set(catalog.events["event_id"]):
            assert (catalog.arrivals["event_id"] == name).sum() == 8
    said = []
    for process, output in processes:
        said += [int(line) for line in output]
        output.close()
        assert exit_code(process) == 0
    assert sorted(said) == list(range(1, 13))
    for number in range(2):
        versions = store.versions(IDS[number])
        assert list(versions["version"]) == list(range(1, 7))
        assert set(versions["depth_km"]) == {100.0, 101.0, 102.0, 200.0, 201.0, 202.0}


def test_a_killed_writer_loses_nothing_that_it_reported(store):
    store.write(Catalog(stations=CATALOG.stations))
    process, output = writer(store.url, 100, 10_000)
    said = [int(output.readline()) for _ in range(3)]
    os.kill(process, signal.SIGKILL)
    said += [int(line) for line in output if line.endswith("\n")]
    output.close()
    assert exit_code(process) == -signal.SIGKILL
    # One more may have been committed but not said.
    assert store.sequence() in (said[-1], said[-1] + 1)
    assert len(store.read().arrivals) == 16
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
        try:
            with Store(store.url) as mine:
                for _ in range(3):
                    mine.write(second)
                    mine.write(first)
        finally:
            stop.set()

    thread = threading.Thread(target=write, daemon=True)
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
            for _ in range(3):
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


def test_a_forked_process_opens_connections_of_its_own(store):
    store.write(CATALOG)
    assert store.count(EventQuery()) == 4
    process, output = forked(lambda say: say(store.count(EventQuery())))
    assert output.read() == "4\n"
    output.close()
    assert exit_code(process) == 0
    assert store.count(EventQuery()) == 4
