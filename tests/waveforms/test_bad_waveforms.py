"""Input that cannot be used as it is: one line each, and the rest is used."""

from __future__ import annotations

import gzip
import pickle

import numpy as np
import pytest
from miniseed_files import START_NS, make_trace, noise, save

from lithoscope.errors import DataError, StorageError
from lithoscope.waveforms import index_archive, read_records
from lithoscope.waveforms._files import read_quietly

STATION = "XX.AAA..HH"


def names(table) -> set[str]:
    return set(table["problem"])


def one_line(error) -> bool:
    return "\n" not in str(error.value)


def test_no_such_folder(tmp_path):
    with pytest.raises(DataError, match="no such file or folder") as error:
        index_archive(tmp_path / "nowhere")
    assert one_line(error)


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="no files found"):
        index_archive(tmp_path)


def test_folder_without_waveforms(tmp_path):
    (tmp_path / "README.md").write_text("# nothing here\n")
    (tmp_path / "stations.csv").write_text("station,latitude\nA,1\n")
    with pytest.raises(DataError, match=r"no usable waveforms found.*1 \.csv, 1 \.md") as error:
        index_archive(tmp_path)
    assert one_line(error)


def test_the_folder_and_each_reason_are_named_once(tmp_path):
    for name in ("a.mseed", "b.mseed"):
        save(tmp_path / name, [make_trace("XX.BBB..HHZ", noise(1, seed=ord(name[0])))] * 3)
    with pytest.raises(DataError) as error:
        index_archive([tmp_path])
    text = str(error.value)
    assert text.startswith(f"no usable waveforms found in {tmp_path}; ")
    assert text.count("one sample") == text.count(".mseed") == 1
    assert text.endswith("more like it")


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("packed", [False, True])
def test_pickles_are_never_loaded(three, tmp_path, protocol, packed):
    folder, _ = three
    target = tmp_path / "was_here"
    content = pickle.dumps(("obspy.core.stream", Malicious(target)), protocol)
    assert b"obspy.core.stream" in content[:100]  # by which ObsPy takes it for its own
    name = "evil.mseed.gz" if packed else "evil.mseed"
    (folder / name).write_bytes(gzip.compress(content) if packed else content)
    archive = index_archive(folder)
    assert not target.exists()
    assert len(archive.segments) == 3
    skipped = archive.problems[archive.problems["action"] == "skipped"]
    assert len(skipped) == 1
    assert packed or skipped["what"].iloc[0] == name
    with pytest.raises(DataError, match="PICKLE"):
        read_quietly(folder / name, format="PICKLE")
    assert not target.exists()


def test_other_files_are_listed_and_left_alone(three):
    folder, _ = three
    (folder / "README.md").write_text("# text\n")
    (folder / "a.xml").write_text("<x/>")
    (folder / "empty.mseed").write_bytes(b"")
    archive = index_archive(folder)
    assert len(archive.segments) == 3
    found = archive.problems.set_index("what")["detail"]
    assert found["files"] == "1 .md, 1 .xml"
    # A file that is meant to be waveforms is named.
    assert "empty" in found["empty.mseed"]


def test_truncated_miniseed_is_used_as_far_as_it_goes(three):
    folder, data = three
    whole = (folder / "Z.mseed").read_bytes()
    (folder / "Z.mseed").write_bytes(whole[: len(whole) - 4096 - 300])
    archive = index_archive(folder)
    assert "damaged" in names(archive.problems)
    records, _ = read_records(archive, STATION)
    first = records[0]
    assert first.mask.all()
    assert 0 < first.n_samples < 6000
    assert np.array_equal(first.data, data[:, : first.n_samples])


def test_garbage_that_calls_itself_miniseed(three):
    folder, _ = three
    (folder / "bad.mseed").write_bytes(b"000001D " + bytes(range(256)) * 20)
    archive = index_archive(folder)
    assert len(archive.segments) == 3
    assert names(archive.problems) & {"unreadable", "damaged"}


def test_damage_inside_the_data_is_a_gap_not_a_crash(three):
    folder, _ = three
    content = bytearray((folder / "Z.mseed").read_bytes())
    archive = index_archive(folder)
    content[4096 + 64 : 4096 + 2000] = b"\xff" * 1936  # the frames of the second record
    (folder / "Z.mseed").write_bytes(bytes(content))
    records, problems = read_records(archive, STATION)
    assert names(problems) & {"damaged", "unreadable"}
    assert sum(r.mask[1] * r.n_samples for r in records) == 6000


def test_truncated_archives_of_files_are_named(three):
    folder, _ = three
    packed = gzip.compress((folder / "Z.mseed").read_bytes())
    (folder / "Q.mseed.gz").write_bytes(packed[: len(packed) // 2])
    (folder / "R.zip").write_bytes(b"PK\x03\x04 nothing")
    archive = index_archive(folder)
    assert len(archive.segments) == 3
    assert len(archive.problems) >= 1


def test_file_gone_after_indexing(three):
    folder, _ = three
    archive = index_archive(folder)
    (folder / "N.mseed").unlink()
    # Not a gap: a run on other machines, or beside somebody who tidies up, would lose data unseen.
    with pytest.raises(StorageError, match=r"N\.mseed' is not there"):
        read_records(archive, STATION)


def test_duplicate_file_is_used_once(three):
    folder, data = three
    (folder / "copy").mkdir()
    (folder / "copy" / "Z.mseed").write_bytes((folder / "Z.mseed").read_bytes())
    archive = index_archive(folder)
    assert names(archive.problems) == {"duplicate file"}
    assert np.array_equal(read_records(archive, STATION)[0][0].data, data)


def test_compressed_copy_is_harmless(three):
    folder, data = three
    (folder / "Z.mseed.gz").write_bytes(gzip.compress((folder / "Z.mseed").read_bytes()))
    records, problems = read_records(index_archive(folder), STATION)
    assert np.array_equal(records[0].data, data)
    assert len(problems) == 0


def test_nan_and_infinity_are_gaps(tmp_path):
    values = noise(2000).astype(np.float32)
    values[500:510] = np.nan
    values[1000] = np.inf
    save(tmp_path / "a.mseed", [make_trace("XX.AAA..HHZ", values)])
    records, problems = read_records(index_archive(tmp_path), STATION)
    assert [r.n_samples for r in records] == [500, 490, 999]
    assert names(problems) == {"missing samples"}
    assert all(np.isfinite(r.data).all() for r in records)


def test_nan_throughout(tmp_path):
    save(tmp_path / "a.mseed", [make_trace("XX.AAA..HHZ", np.full(2000, np.nan, np.float32))])
    records, problems = read_records(index_archive(tmp_path), STATION)
    assert records == []
    assert names(problems) == {"missing samples"}


def test_one_sample_and_zero_length(three):
    folder, _ = three
    save(folder / "one.mseed", [make_trace("XX.BBB..HHZ", noise(1))])
    trace = make_trace("XX.CCC..HHZ", noise(5))
    trace.data = trace.data[:0]
    trace.write(str(folder / "zero.sac"), format="SAC")
    archive = index_archive(folder)
    assert archive.stations() == [STATION]
    assert "one sample" in names(archive.problems)
    assert names(archive.problems) & {"zero-length", "unreadable", "not waveforms"}


def test_only_one_sample_in_all(tmp_path):
    save(tmp_path / "one.mseed", [make_trace("XX.BBB..HHZ", noise(1))])
    with pytest.raises(DataError, match=r"no usable waveforms.*one sample") as error:
        index_archive(tmp_path)
    assert one_line(error)


def test_data_in_the_future_are_flagged(tmp_path):
    later = START_NS + 80 * 365 * 86_400 * 10**9  # 2099
    save(tmp_path / "a.mseed", [make_trace("XX.AAA..HHZ", noise(100), start_ns=later)])
    archive = index_archive(tmp_path)
    row = archive.problems.iloc[0]
    assert row["problem"] == "in the future"
    assert "2099" in row["detail"]
    assert len(read_records(archive, STATION)[0]) == 1


def test_state_of_health_and_slow_channels_are_named(three):
    folder, _ = three
    save(folder / "a.mseed", [make_trace("XX.AAA..VHZ", noise(100), rate_hz=0.1)])
    save(folder / "b.mseed", [make_trace("XX.AAA..LCQ", noise(100), rate_hz=1.0)])
    archive = index_archive(folder)
    assert names(archive.problems) == {"sampling rate too low", "component unknown"}
    assert archive.stations() == [STATION]


def test_dead_component_is_masked(three):
    folder, data = three
    save(folder / "N.mseed", [make_trace("XX.AAA..HHN", np.full(6000, 3, np.int32))])
    records, problems = read_records(index_archive(folder), STATION)
    assert [r.mask.tolist() for r in records] == [[True, False, True]]
    assert not records[0].data[1].any()
    assert records[0].channels[1] == ""
    assert np.array_equal(records[0].data[0], data[0])
    assert problems.iloc[0]["problem"] == "dead"
    assert problems.iloc[0]["what"] == "XX.AAA..HHN"


def test_window_that_ends_before_it_starts(three):
    with pytest.raises(DataError, match="before it starts"):
        read_records(index_archive(three[0]), STATION, START_NS + 1, START_NS)


def test_brackets_in_names_are_no_patterns(tmp_path):
    save(tmp_path / "a[1]*" / "x[ab].mseed", [make_trace("XX.AAA..HHZ", noise(100))])
    assert len(read_records(index_archive(tmp_path), STATION)[0]) == 1


def test_a_list_of_files_and_a_pattern(three):
    folder, _ = three
    assert len(index_archive([folder / "Z.mseed", folder / "N.mseed"]).segments) == 2
    assert len(index_archive(str(folder / "[ZE].mseed")).segments) == 2
