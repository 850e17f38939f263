"""`lithoscope replay`."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from lithoscope.cli._options import Json, Sources, show, with_options
from lithoscope.errors import ConfigError
from lithoscope.files import replacing
from lithoscope.pipeline.replay import FaultSettings, Replay, ReplayReport, ReplaySettings

_PROGRESS_S = 10.0
_DELIVERY_S = 60.0  # longest wait for clients to take the last packets


@dataclass(frozen=True)
class FaultOptions:
    """Faults of the network; `FaultSettings` says what each does."""

    seed: Annotated[int, typer.Option(help="The same seed gives the same faults.")] = 0
    drop: Annotated[float, typer.Option(help="Part of the packets lost, 0 to 1.")] = 0.0
    delay: Annotated[float, typer.Option(help="Part of the packets that come late.")] = 0.0
    delay_s: Annotated[float, typer.Option(help="Longest delay, seconds of data time.")] = 20.0
    reorder: Annotated[
        float, typer.Option(help="Part of the packets that come after the channel's next one.")
    ] = 0.0
    duplicate: Annotated[float, typer.Option(help="Part of the packets that come twice.")] = 0.0
    disconnect_per_hour: Annotated[
        float, typer.Option(help="Times an hour of data that all connections are cut.")
    ] = 0.0
    gap_per_hour: Annotated[
        float, typer.Option(help="Times an hour that the data of a station are missing.")
    ] = 0.0
    gap_s: Annotated[float, typer.Option(help="Length of such a gap, seconds.")] = 30.0
    spike: Annotated[float, typer.Option(help="Part of the packets with one false sample.")] = 0.0
    spike_counts: Annotated[float, typer.Option(help="Size of the false sample.")] = 1e6
    clock_step_per_hour: Annotated[
        float, typer.Option(help="Times an hour that the clock of a station jumps.")
    ] = 0.0
    clock_step_s: Annotated[float, typer.Option(help="Size of the jump, seconds.")] = 2.0
    clock_step_duration_s: Annotated[
        float, typer.Option(help="Seconds until the clock jumps back.")
    ] = 300.0

    def settings(self) -> FaultSettings:
        """Return them as settings."""
        found: FaultSettings = FaultSettings.parse(vars(self), where="faults")
        return found


@with_options
def command(
    data: Sources,
    *,
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.")] = 18000,
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    speed: Annotated[
        float, typer.Option(help="Times real time; 0 as fast as the clients take it.")
    ] = 1.0,
    start: Annotated[str, typer.Option(help="First data time (UTC), ISO 8601.")] = "",
    end: Annotated[str, typer.Option(help="End of the data time (UTC).")] = "",
    packet: Annotated[
        float, typer.Option(help="Longest packet in seconds; 0 fills every record.")
    ] = 1.0,
    wait: Annotated[int, typer.Option(help="Begin when so many clients want data.")] = 0,
    shift_to_now: Annotated[
        bool, typer.Option("--shift-to-now", help="Shift all times so that the data begin now.")
    ] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep serving what the ring holds after the end.")
    ] = False,
    ring_mb: Annotated[float, typer.Option(help="Memory for packets, megabytes.")] = 64.0,
    report: Annotated[
        Path | None, typer.Option(help="File (JSON) for the report with every fault.")
    ] = None,
    as_json: Json = False,
    options: FaultOptions,
) -> None:
    """Serve recordings over SeedLink as a live network would, with faults on demand."""
    values: dict[str, Any] = {
        **{"host": host, "port": port, "speed": speed, "ring_mb": ring_mb},
        **{"wait_for_clients": wait, "shift_to_now": shift_to_now, "packet_s": packet or None},
        **{"start": _moment(start, "start"), "end": _moment(end, "end")},
        "faults": options.settings(),
    }
    settings = ReplaySettings.parse(values, where="replay")
    with Replay(data, settings) as replay:
        typer.echo(f"serving {len(replay.cutter.channels)} channels at {replay.url}", err=True)
        try:
            while not replay.wait(_PROGRESS_S):
                typer.echo(_progress(replay), err=True)
            replay.delivered(_DELIVERY_S)
        except KeyboardInterrupt:
            stay = False
            typer.echo("stopped before the end", err=True)
        result = replay.report()
        if report is not None:
            with replacing(report) as path:
                path.write_text(json.dumps(result.as_dict(), indent=1) + "\n")
        show(result.as_dict(), as_json, report_text(result))
        if stay:
            typer.echo("all sent; still serving (Ctrl-C ends)", err=True)
            with suppress(KeyboardInterrupt):
                replay.run_on()


def report_text(report: ReplayReport) -> str:
    """Return what a replay did, for the terminal."""
    pace = f"{report.speed:g} x real time" if report.speed else "as fast as clients took it"
    lines = [
        f"{report.starttime} to {report.endtime}, {report.channels} channels, {pace}",
        f"{report.n_sent} packets sent of {report.n_packets} in {report.wall_s:.1f} s, "
        f"latest {report.late_s:.2f} s after its time, {report.n_connections} connections",
    ]
    lines += [f"  {count} {fault}" for fault, count in report.faults.items()]
    if not report.faults:
        lines.append("no faults")
    return "\n".join(lines + [f"problem: {text}" for text in report.problems])


def _progress(replay: Replay) -> str:
    moment = pd.Timestamp(replay.position_ns, tz="UTC")
    clients = len(replay.server.streaming())
    return f"{moment:%Y-%m-%d %H:%M:%S} of the data, {clients} clients"


def _moment(text: str, name: str) -> pd.Timestamp | None:
    if not text:
        return None
    try:
        moment = pd.Timestamp(text)
    except ValueError:
        raise ConfigError(
            f"--{name} '{text}' is no time; write it as 2019-07-04T17:00:00"
        ) from None
    return moment.tz_localize("UTC") if moment.tz is None else moment.tz_convert("UTC")
