"""The command `lithoscope serve`."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from service_run import get
from typer.testing import CliRunner

from lithoscope.cli import app
from lithoscope.errors import ConfigError, DataError, StorageError


def run(*words: str) -> BaseException | None:
    return CliRunner().invoke(app, ["serve", *words]).exception


def test_it_serves_until_it_is_told_to_stop(small_run: Path) -> None:
    command = [sys.executable, "-m", "lithoscope", "serve", str(small_run), "--port", "0"]
    environment = os.environ | {"LITHOSCOPE_TOKEN": "0123456789abcdef"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert "(reviews with a token)" in line
            address = line.split(" on ")[1].split("/ ")[0]
            assert address.startswith("http://127.0.0.1:")
            assert get(address, "/api/summary").json()["review"] is True
            server.send_signal(signal.SIGINT)
            assert server.wait(300) == 0
        finally:
            server.kill()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "fastapi" else find(name)
    )
    error = run("anything")
    assert isinstance(error, ConfigError)
    assert "lithoscope[serve]" in str(error)


def test_wrong_use_is_one_line(tmp_path: Path, small_run: Path) -> None:
    error = run(str(tmp_path / "none"))
    assert isinstance(error, DataError)
    error = run(str(tmp_path))
    assert isinstance(error, DataError)
    assert "no run directory" in str(error)
    (tmp_path / "x.sqlite").write_text("nothing of the kind")
    assert isinstance(run(str(tmp_path / "x.sqlite")), StorageError)
    assert isinstance(run(str(small_run), "--waveforms", "/none"), DataError)
    (tmp_path / "token").write_text("short")
    assert isinstance(run(str(small_run), "--token-file", str(tmp_path / "token")), ConfigError)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        error = run(str(small_run), "--port", str(taken.getsockname()[1]))
        assert isinstance(error, StorageError)
        assert "--port" in str(error)
