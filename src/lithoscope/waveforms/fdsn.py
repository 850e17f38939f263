"""FDSN station and dataselect services, through ObsPy's client: polite, and every error translated.

Requests go one after another, no faster than a stated rate. What may pass by itself (no answer, a
busy server, a broken transfer) is tried again with growing pauses.

Source: FDSN web service specifications, version 1.2 (https://www.fdsn.org/webservices/).
"""

from __future__ import annotations

import http.client
import time
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import ParseError

import obspy
from obspy import UTCDateTime
from obspy.clients.fdsn import Client, header

from lithoscope import __version__
from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError, LithoscopeError
from lithoscope.waveforms._files import channel_code, read_quietly
from lithoscope.waveforms.obspy_errors import READ_ERRORS, first_line

USER_AGENT = f"Lithoscope/{__version__} (ObsPy {obspy.__version__})"
#: Pauses before a request is tried again (s); after the last the server counts as away.
PAUSES_S = (2.0, 5.0, 15.0, 60.0)

# Passing: these say nothing about the request itself.
_PASSING = (
    header.FDSNTimeoutException,
    header.FDSNServiceUnavailableException,
    header.FDSNTooManyRequestsException,
    header.FDSNInternalServerException,
    header.FDSNBadGatewayException,
    http.client.HTTPException,
    OSError,
    EOFError,  # a gzipped answer cut short
    zlib.error,
)
# What ObsPy raises where there is no service: no address, no answer, a page that is no WADL (lxml's
# error is a SyntaxError).
_NO_SERVICE = (
    header.FDSNNoServiceException,
    SyntaxError,
    ParseError,
    ValueError,
    NotImplementedError,
    IndexError,
)


class ServerAwayError(LithoscopeError):
    """A server does not answer, or not now; what was received before is kept."""


class RefusedError(DataError):
    """A server refuses a request for good (restricted data, too much at once, bad parameter)."""


@dataclass(frozen=True, order=True)
class ChannelEpoch:
    """One channel (NET.STA.LOC.CHA) as it was recorded from start to end, ns since 1970."""

    channel: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class TraceSpan:
    """Samples of one channel without a gap; the end is one interval after the last sample."""

    channel: str
    start_ns: int
    end_ns: int
    sampling_rate_hz: float


class FdsnServer:
    """The FDSN services of one data centre.

    Parameters
    ----------
    url
        Base URL, such as ``http://host:8080``, or a short name that ObsPy knows (``EARTHSCOPE``).
    station_url
        Base URL of the station service, if it is another server's.
    requests_per_s
        Requests begin no closer together than its inverse.
    timeout_s
        Longest silence of the server.
    pauses_s
        Before each further try.
    sleep, clock
        How to wait and to tell the time, s.
    """

    def __init__(
        self,
        url: str,
        *,
        station_url: str = "",
        requests_per_s: float = 2.0,
        timeout_s: float = 120.0,
        pauses_s: tuple[float, ...] = PAUSES_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.urls = {"dataselect": url, "station": station_url or url}
        self.n_requests = 0
        self._interval_s = 1.0 / requests_per_s
        self._timeout_s, self._pauses_s, self._sleep = timeout_s, pauses_s, sleep
        self._clock = clock
        self._clients: dict[str, Any] = {}
        self._last = -1e9

    def channels(
        self, network: str, station: str, location: str, channel: str, start_ns: int, end_ns: int
    ) -> list[ChannelEpoch]:
        """Return the channel epochs that match the patterns (``*`` and ``?``) and the times."""
        content = self._stations(
            "channel", network, station, location, channel, *_times(start_ns, end_ns)
        )
        return read_epochs(content) if content else []

    def station_xml(self, network: str, station: str, location: str, channel: str) -> bytes:
        """Return StationXML with responses, of all times; empty if there is none."""
        return self._stations("response", network, station, location, channel)

    def waveforms(self, channel: str, start_ns: int, end_ns: int) -> bytes:
        """Return the miniSEED records of NET.STA.LOC.CHA as sent; empty if there are none.

        Raises
        ------
        RefusedError
            If the server refuses the request, or answers with something other than miniSEED.
        ServerAwayError
            If it does not answer, again and again.
        """
        network, station, location, code = channel.split(".")
        times = _times(start_ns, end_ns)

        def request() -> bytes:
            body = BytesIO()
            client = self._client("dataselect")
            client.get_waveforms(network, station, location or "--", code, *times, filename=body)
            content = body.getvalue()
            if content:
                read_spans(content)  # a transfer that was cut is tried again
            return content

        return self._patiently("dataselect", request)

    def _stations(
        self, level: str, network: str, station: str, location: str, channel: str, *times: Any
    ) -> bytes:
        names = ("starttime", "endtime")
        options = dict(zip(names, times, strict=False))

        def request() -> bytes:
            body = BytesIO()
            self._client("station").get_stations(
                network=network,
                station=station,
                location=location or "--",
                channel=channel,
                level=level,
                filename=body,
                **options,
            )
            return body.getvalue()

        return self._patiently("station", request)

    def _patiently(self, service: str, request: Callable[[], bytes]) -> bytes:
        for pause_s in (*self._pauses_s, None):
            self._sleep(max(0.0, self._last + self._interval_s - self._clock()))
            self._last = self._clock()
            self.n_requests += 1
            try:
                return request()
            except header.FDSNNoDataException:
                return b""
            except (*_PASSING, header.FDSNException, DataError) as error:
                if not _is_passing(error):
                    raise RefusedError(
                        f"{self.urls[service]}: the {service} service refuses: {first_line(error)}"
                    ) from None
                if pause_s is None:
                    raise ServerAwayError(
                        f"{self.urls[service]}: the {service} service does not answer "
                        f"({first_line(error)}); run again later: what was received is kept"
                    ) from None
                self._sleep(pause_s)
        raise AssertionError("unreachable")

    def _client(self, service: str) -> Any:
        """Return ObsPy's client for one service; the others of the server are never asked for."""
        if service not in self._clients:
            others = {name: None for name in ("dataselect", "event", "station") if name != service}
            url = self.urls[service]
            options = {"user_agent": USER_AGENT, "timeout": self._timeout_s}
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # parameters that a server lacks
                    self._clients[service] = Client(url, service_mappings=others, **options)
            except _NO_SERVICE as error:
                raise ServerAwayError(
                    f"no FDSN {service} service was found at '{url}' ({first_line(error)}); check "
                    "the address, or name another with "
                    + ("--station-url" if service == "station" else "--url")
                ) from None
        return self._clients[service]


def _is_passing(error: BaseException) -> bool:
    """Tell what another try may mend; ObsPy raises its base class when no answer came at all."""
    return isinstance(error, _PASSING) or type(error) in (header.FDSNException, DataError)


def _times(start_ns: int, end_ns: int) -> tuple[UTCDateTime, UTCDateTime]:
    """Return request times; the last one is included by the service, and ours is not."""
    return UTCDateTime(ns=start_ns), UTCDateTime(ns=end_ns - 1000)


def read_spans(content: bytes) -> list[TraceSpan]:
    """Return what miniSEED records hold, by their headers.

    Raises
    ------
    DataError
        If they are damaged, cut short, or no miniSEED.
    """
    stream, complaints = read_quietly(BytesIO(content), format="MSEED", headonly=True)
    if complaints:
        raise DataError(f"damaged miniSEED: {complaints[0]}")
    if not len(stream):
        raise DataError("no miniSEED records")
    if len(content) % stream[0].stats.mseed.record_length:
        raise DataError("miniSEED that ends inside a record")
    return [
        TraceSpan(
            channel_code(trace),
            int(trace.stats.starttime.ns),
            int(trace.stats.endtime.ns) + round(NS_PER_S / trace.stats.sampling_rate),
            float(trace.stats.sampling_rate),
        )
        for trace in stream
        if trace.stats.sampling_rate > 0
    ]


def join_records(old: bytes, new: bytes) -> bytes:
    """Return the records of both, each once, in the order in which they came."""
    length = read_quietly(BytesIO(new), format="MSEED", headonly=True)[0][0].stats.mseed
    size = int(length.record_length)
    if len(old) % size or len(new) % size:
        return old + new
    blocks = (part[i : i + size] for part in (old, new) for i in range(0, len(part), size))
    return b"".join(dict.fromkeys(blocks))


def read_epochs(content: bytes) -> list[ChannelEpoch]:
    """Return the channel epochs of an inventory, sorted; an open end lies in the far future.

    Raises
    ------
    DataError
        If ObsPy cannot read it.
    """
    try:
        inventory = obspy.read_inventory(BytesIO(content))
    except READ_ERRORS as error:
        raise DataError(f"no station inventory ({first_line(error)})") from None
    far = 2**62
    return sorted(
        ChannelEpoch(
            f"{network.code}.{station.code}.{(channel.location_code or '').strip('- ')}"
            f".{channel.code}",
            channel.start_date.ns if channel.start_date else -far,
            min(channel.end_date.ns, far) if channel.end_date else far,
        )
        for network in inventory
        for station in network
        for channel in station
    )
