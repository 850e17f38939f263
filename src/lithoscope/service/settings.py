"""What a server is told at its start."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr

from lithoscope.errors import ConfigError
from lithoscope.files import storage_error
from lithoscope.settings import Settings

TOKEN_VARIABLE = "LITHOSCOPE_TOKEN"
#: Shortest token: 16 characters of 64 possible ones are 96 bits.
SHORTEST_TOKEN = 16


class Limits(Settings):
    """How much one client may ask for; larger requests are refused, never half answered."""

    events: int = Field(20_000, ge=1, description="Events of one QuakeML or full JSON answer.")
    rows: int = Field(1_000_000, ge=1, description="Events of one compact or text answer.")
    arrival_events: int = Field(2_000, ge=1, description="Events of one answer with arrivals.")
    samples: int = Field(100_000_000, ge=1, description="Samples of one dataselect answer.")
    hours: float = Field(48.0, gt=0, description="Hours of one waveform or spectrogram.")
    channels: int = Field(10_000, ge=1, description="Channels of one StationXML answer.")
    body_bytes: int = Field(1_000_000, ge=1, description="Body of a request.")
    streams: int = Field(200, ge=1, description="Readers of live updates at once.")
    heavy: int = Field(4, ge=1, description="Costly answers computed at once.")
    recordings: int = Field(2, ge=1, description="Answers from recordings computed at once.")
    waiting: int = Field(200, ge=1, description="Requests that may wait for a costly answer.")
    connections: int = Field(1_000, ge=1, description="Connections at once.")
    connections_per_client: int = Field(250, ge=1, description="Connections of one address.")
    request_s: float = Field(10.0, gt=0, description="Time in which a request must arrive.")
    stalled_s: float = Field(
        30.0, gt=0, description="Time after which a reader that takes nothing is cut off."
    )
    answer_s: float = Field(600.0, gt=0, description="Time that one answer may take.")
    compute_s: float = Field(60.0, gt=0, description="Time that one computation may take.")


class ServiceSettings(Settings):
    """What to serve and to whom.

    Attributes
    ----------
    source
        Run directory, SQLite file or database URL.
    waveforms, stations
        Folders of recordings and station files, in place of those that the run names.
    tokens
        Pairs of reviewer and token; none: nothing can be written.
    """

    source: str
    waveforms: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    tokens: tuple[tuple[str, SecretStr], ...] = ()
    catalog: str = Field("lithoscope", description="Name of the catalogue in FDSN answers.")
    contributor: str = Field("lithoscope", description="Who contributes it.")
    poll_s: float = Field(0.5, gt=0, description="How often the store is asked for changes.")
    refresh_s: float = Field(10.0, gt=0, description="Age of the index of growing recordings.")
    late_s: float = Field(60.0, gt=0, description="Latency above which a station is late.")
    silent_s: float = Field(600.0, gt=0, description="Latency above which it is silent.")
    processes: int = Field(
        0, ge=0, description="Processes that read recordings; with 0 threads of the server do."
    )
    limits: Limits = Limits()


def read_tokens(path: Path | None) -> tuple[tuple[str, SecretStr], ...]:
    """Return reviewers and tokens of a file (``token`` or ``name:token`` a line), or of the
    environment variable ``LITHOSCOPE_TOKEN``.

    Empty lines and lines that begin with ``#`` are skipped.

    Raises
    ------
    ConfigError
        For a file without tokens, or a token that can be guessed.
    StorageError
        If the file cannot be read.
    """
    if path is None:
        lines = [os.environ.get(TOKEN_VARIABLE, "")]
        where = f"environment variable {TOKEN_VARIABLE}"
    else:
        where = f"token file '{path}'"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise storage_error("read", path, error) from None
        except UnicodeDecodeError:
            raise ConfigError(f"{where} is no text") from None
    tokens = []
    for line in (text.strip() for text in lines):
        if not line or line.startswith("#"):
            continue
        name, _, token = line.rpartition(":")
        if len(token) < SHORTEST_TOKEN or not token.isascii():
            raise ConfigError(
                f"{where}: a token needs at least {SHORTEST_TOKEN} ASCII characters; "
                "`openssl rand -hex 16` makes one"
            )
        tokens.append((name or "operator", SecretStr(token)))
    if path is not None and not tokens:
        raise ConfigError(f"{where} holds no token; put one on a line")
    return tuple(tokens)
