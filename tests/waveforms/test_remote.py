"""Archives in a store that fsspec reads: the same records, a bounded cache, clear errors."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
from miniseed_files import START_NS, make_trace, noise, save

from lithoscope.errors import ConfigError, DataError, StorageError
from lithoscope.waveforms import index_archive, read_records
from lithoscope.waveforms.remote import cache_folder, canonical, is_url, list_objects, local_copy

DAY_NS = 86_400_000_000_000
STATION = "XX.AAA..HH"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LITHOSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return six files of one station: three components, two pieces with a gap."""
    path = tmp_path / "data" / "2020"
    for number, code in enumerate("ZNE"):
        for part in range(2):
            start = START_NS + part * 400 * 10**9
            trace = make_trace(
                f"XX.AAA..HH{code}", noise(30_000, 2 * number + part), start_ns=start
            )
            save(path / f"{code}.{part}.mseed", [trace])
    (path / ".hidden").write_text("no data")
    (path / "notes.txt").write_text("nothing to read")
    return path


@pytest.fixture
def store(folder: Path):
    """Return the URL of the same files in a store, in memory."""
    fs = fsspec.filesystem("memory")
    for path in folder.iterdir():
        fs.pipe_file(f"/bucket/2020/{path.name}", path.read_bytes())
    yield "memory://bucket"
    fs.rm("/bucket", recursive=True)


def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by a name with each object that is fetched."""
    names: list[str] = []
    kind = type(fsspec.filesystem("memory"))
    fetch = kind.get_file

    def get_file(self, remote, local, **options):
        names.append(remote.rpartition("/")[2])
        return fetch(self, remote, local, **options)

    monkeypatch.setattr(kind, "get_file", get_file)
    return names


def test_the_same_records_as_from_a_folder(folder: Path, store: str, monkeypatch) -> None:
    fetched = downloads(monkeypatch)
    here, there = index_archive([folder]), index_archive([store])
    assert sorted(fetched) == sorted(p.name for p in folder.iterdir() if p.name[0] != ".")
    assert there.problems.equals(here.problems)
    columns = [c for c in here.segments.columns if c != "path"]
    assert there.segments[columns].equals(here.segments[columns])
    span = here.span_ns()
    assert there.digest(STATION, *span) == here.digest(STATION, *span)  # resume keys are equal too
    ours, theirs = read_records(here, STATION)[0], read_records(there, STATION)[0]
    assert len(ours) == len(theirs) == 2
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    # Neither reading nor indexing again fetches anything.
    index_archive([f"{store}/2020/*.mseed"])
    assert len(fetched) == 7


def test_a_file_url_is_the_folder_itself(folder: Path, cache: Path) -> None:
    archive = index_archive([f"file://{folder}"])
    assert len(archive.segments) == 6
    assert set(archive.segments["path"]) == {str(p) for p in folder.glob("*.mseed")}
    assert not cache.exists()


def test_the_local_file_system_through_fsspec(folder: Path, cache: Path) -> None:
    """The driver ``local://`` of fsspec stands for one that lists, describes and copies files."""
    archive = index_archive([f"local://{folder}"])
    assert len(archive.segments) == 6
    assert len(list((cache / "objects").iterdir())) == 7
    assert len(read_records(archive, STATION)[0]) == 2


def test_changed_content_is_fetched_again(folder: Path, store: str) -> None:
    before = index_archive([store])
    fs = fsspec.filesystem("memory")
    time.sleep(0.01)
    fs.pipe_file("/bucket/2020/Z.0.mseed", (folder / "Z.1.mseed").read_bytes())
    after = index_archive([store])
    assert len(before.segments) == 6
    assert "duplicate file" in set(after.problems["problem"])


def test_the_cache_keeps_to_its_limit(store: str, cache: Path, monkeypatch) -> None:
    monkeypatch.setenv("LITHOSCOPE_CACHE_GB", "0.0002")  # 200 kB; the objects take some 350 kB
    most = []
    archive = index_archive(
        [store], progress=lambda done, total: most.append(disk_use(cache / "objects"))
    )
    assert sum(f.size for f in list_objects(store)) > 300_000
    assert max(most) <= 200_000
    assert len(read_records(archive, STATION)[0]) == 2
    assert disk_use(cache) <= 200_000
    monkeypatch.setenv("LITHOSCOPE_CACHE_GB", "0")
    assert len(read_records(archive, STATION)[0]) == 2
    assert disk_use(cache / "objects") == 0
    monkeypatch.setenv("LITHOSCOPE_CACHE_GB", "much")
    with pytest.raises(ConfigError, match="LITHOSCOPE_CACHE_GB is 'much'"):
        read_records(archive, STATION)


def disk_use(folder: Path) -> int:
    return sum(p.stat().st_blocks * 512 for p in folder.rglob("*") if p.is_file())


def test_content_in_use_stays_while_others_make_room(store: str, monkeypatch) -> None:
    monkeypatch.setenv("LITHOSCOPE_CACHE_GB", "0")
    first, second = [str(f) for f in list_objects(store) if f.suffix == ".mseed"][:2]
    with local_copy(first) as path:
        content = path.read_bytes()
        with local_copy(second):
            assert path.read_bytes() == content
    assert not path.exists()
    # What a killed process left goes when there is need for room.
    left = cache_folder() / "objects" / "use-999999999-abc"
    left.write_bytes(b"x" * 10_000)
    with local_copy(first):
        assert not left.exists()


def test_errors_say_what_to_do(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="memory://bucket/2021: no such object or folder"):
        index_archive([f"{store}/2021"])
    with pytest.raises(DataError, match="Protocol not known: nonsense"):
        index_archive(["nonsense://bucket"])
    with pytest.raises(ConfigError, match="has a password in it"):
        index_archive(["ftp://me:secret@host/data"])
    archive = index_archive([store])
    monkeypatch.setenv("LITHOSCOPE_CACHE", os.devnull)
    with pytest.raises(StorageError, match="cannot write the cache"):
        read_records(archive, STATION)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(DataError, match=r"reading s3://bucket/x needs one more package: .*s3fs"):
        index_archive(["s3://bucket/x"])
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(DataError, match=r"needs fsspec; pip install lithoscope\[scale\]"):
        index_archive([store])


def test_an_object_or_file_that_vanished_is_no_gap(folder: Path, store: str, cache: Path) -> None:
    here, there = index_archive([folder]), index_archive([store])
    (folder / "Z.0.mseed").unlink()
    with pytest.raises(StorageError, match="is not there for"):
        read_records(here, STATION)
    fsspec.filesystem("memory").rm("/bucket/2020/Z.0.mseed")
    with pytest.raises(StorageError, match="cannot be read"):
        read_records(there, STATION)


def test_names_of_sources() -> None:
    assert is_url("s3://bucket/data")
    assert not is_url("/data/x")
    assert not is_url("file:///data/x")
    assert canonical("s3://bucket/data") == "s3://bucket/data"
    assert canonical("file:///data/a%20b") == "/data/a b"
    assert canonical("data") == str(Path("data").resolve())
