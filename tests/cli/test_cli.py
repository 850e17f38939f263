"""Commands: exit codes, one-line errors, tables in and out."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from lithoscope.cli import main

Done = subprocess.CompletedProcess[str]


def lithoscope(*arguments: str, cwd: Path | None = None) -> Done:
    """Run a command in this process: starting one of its own takes seconds."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        patch.object(sys, "argv", ["lithoscope", *arguments]),
        redirect_stdout(out),
        redirect_stderr(err),
        chdir(cwd or "."),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def in_a_process(*arguments: str, cwd: Path | None = None) -> Done:
    """Run a command as a user does."""
    words = [sys.executable, "-m", "lithoscope", *arguments]
    return subprocess.run(words, capture_output=True, text=True, cwd=cwd, check=False)


def assert_one_line(result: Done, code: int, *words: str) -> None:
    lines = [line for line in result.stderr.splitlines() if line.startswith("lithoscope: ")]
    assert result.returncode == code, result.stderr
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in lines[0], lines[0]


def test_no_files(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    stations = tmp_path / "stations.csv"
    stations.write_text("network,station,longitude,latitude,elevation_m\nXX,A,10,45,0\n")
    result = lithoscope(
        "run", str(tmp_path / "data"), "-s", str(stations), "-o", str(tmp_path / "run")
    )
    assert_one_line(result, 1, "no files found", "waveform files")


def test_missing_station_option(tmp_path: Path) -> None:
    result = lithoscope("run", str(tmp_path), "-o", str(tmp_path / "run"))
    assert_one_line(result, 1, "--stations")
    assert not (tmp_path / "run").exists()


def test_a_misspelt_path_does_not_take_the_output_folder(tmp_path: Path) -> None:
    stations = tmp_path / "stations.csv"
    stations.write_text("network,station,longitude,latitude,elevation_m\nXX,A,10,45,0\n")
    (tmp_path / "data").mkdir()
    options = ("-s", str(stations), "-o", str(tmp_path / "run"))
    assert_one_line(lithoscope("run", str(tmp_path / "dta"), *options), 1, "no such file")
    assert_one_line(lithoscope("run", str(tmp_path / "data"), *options), 1, "no files found")


def test_a_missing_reference_is_refused_before_the_work(tmp_path: Path) -> None:
    options = ("-s", "stations.csv", "-o", str(tmp_path / "run"), "--reference", "none.xml")
    assert_one_line(lithoscope("run", str(tmp_path), *options), 1, "none.xml")
    assert not (tmp_path / "run").exists()


def test_a_missing_table_names_the_command_that_writes_it(tmp_path: Path) -> None:
    result = lithoscope("associate", str(tmp_path), "-s", "stations.csv")
    assert_one_line(result, 1, "no picks.csv", "lithoscope pick")


def test_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[location]\nmax_dept_km = 30\n")
    result = lithoscope("config", "--config", str(config))
    assert_one_line(result, 2, "location.max_dept_km", "did you mean 'max_depth_km'")


@pytest.mark.parametrize("how", [lithoscope, in_a_process])
def test_value_out_of_range_names_the_key(how: Callable[..., Done]) -> None:
    assert_one_line(how("config", "--set", "engine.workers=0"), 2, "engine.workers")


def test_wrong_use_is_exit_2() -> None:
    assert lithoscope("compare").returncode == 2
    assert lithoscope("no-such-command").returncode == 2


def test_export_of_no_run(tmp_path: Path) -> None:
    result = lithoscope("export", str(tmp_path), "--format", "csv")
    assert_one_line(result, 1, "is no run directory")


def test_a_picker_that_is_none_is_refused_before_the_work(tmp_path: Path) -> None:
    options = ("-s", "stations.csv", "-o", str(tmp_path / "run"), "--picker", "clasical")
    assert_one_line(lithoscope("run", str(tmp_path), *options), 2, "'classical'", "clasical")
    assert not (tmp_path / "run").exists()


def test_the_learned_picker_needs_a_model(tmp_path: Path) -> None:
    options = ("-o", str(tmp_path / "picks"), "--picker", "learned", "--set", "picking.model=")
    assert_one_line(lithoscope("pick", str(tmp_path), *options), 2, "picking.model")


def test_config_prints_every_group() -> None:
    result = lithoscope("config")
    assert result.returncode == 0
    for group in ("waveforms", "stations", "model", "picking", "association", "location"):
        assert f"[{group}]" in result.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    above = tmp_path_factory.mktemp("demo")
    folder = above / "run"
    # A relative name, as a user types it: what the run keeps must hold from any other folder.
    result = in_a_process("demo", "--output", "run", "--json", cwd=above)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["events"] >= 3
    return folder


def test_stages_one_by_one_equal_the_run(demo: Path, tmp_path: Path) -> None:
    sources = json.loads((demo / "lithoscope-run.json").read_text())["sources"]
    stations = ("--stations", str(demo / "stations.csv"))
    config = ("--config", str(demo / "config.toml"))
    folder = str(tmp_path / "stages")
    steps = [
        ("pick", *sources, "-o", folder, *stations, *config, "--set", "engine.workers=1"),
        ("associate", folder, *stations, *config),
        ("locate", folder, *stations, *config),
        ("magnitude", folder, *sources, *stations, *config),
        ("classify", folder),
    ]
    for step in steps:
        result = lithoscope(*step)
        assert result.returncode == 0, f"{step[0]}: {result.stderr}"
    alone = (tmp_path / "stages" / "events.csv").read_text()
    exported = lithoscope("export", str(demo), "--format", "csv", "-o", str(tmp_path / "csv"))
    assert exported.returncode == 0
    assert alone == (tmp_path / "csv" / "events.csv").read_text()


def test_compare_with_itself(demo: Path, tmp_path: Path) -> None:
    quakeml = next((demo / "exports").glob("*.xml"))
    result = lithoscope("compare", str(demo), str(quakeml), "--json")
    assert result.returncode == 0, result.stderr
    value = json.loads(result.stdout)
    assert value["missed"] == value["new"] == 0
    assert value["matched"] >= 3
    assert "<svg" in Path(value["page"]).read_text()


def test_report_again(demo: Path) -> None:
    before = (demo / "report.html").read_bytes()
    (demo / "report.html").unlink()
    assert lithoscope("report", str(demo)).returncode == 0
    assert (demo / "report.html").read_bytes() == before


def test_check_names_what_is_there(demo: Path) -> None:
    sources = json.loads((demo / "lithoscope-run.json").read_text())["sources"]
    result = lithoscope("check", *sources, "--stations", str(demo / "stations.csv"))
    assert result.returncode == 0, result.stderr
    for station in ("BW.UH1..SH", "BW.UH4..EH"):
        assert station in result.stdout
    assert "a run would use 4 of 4 stations" in result.stdout
    assert "there would be no magnitudes" in result.stdout
    bare = lithoscope("check", *sources)
    assert "a run would use 0 of 4 stations" in bare.stdout
    assert "--stations FILE" in bare.stdout


class _Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


def test_check_never_runs_a_pickle(demo: Path, tmp_path: Path) -> None:
    source = json.loads((demo / "lithoscope-run.json").read_text())["sources"][0]
    target, evil = tmp_path / "was_here", tmp_path / "evil.mseed"
    evil.write_bytes(pickle.dumps(("obspy.core.stream", _Malicious(target))))
    result = lithoscope("check", source, str(evil))
    assert result.returncode == 0, result.stderr
    assert "evil.mseed" in result.stdout
    assert "skipped" in result.stdout
    assert not target.exists()
