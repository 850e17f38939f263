"""SeedLink 3.1 and 4: packets, a client and a server."""

from lithoscope.waveforms.seedlink.client import ClientStatus, SeedLinkClient
from lithoscope.waveforms.seedlink.packet import Packet, decode
from lithoscope.waveforms.seedlink.records import Cut, encode_records, to_miniseed3
from lithoscope.waveforms.seedlink.server import SeedLinkServer, ServerLimits

__all__ = [
    "ClientStatus",
    "Cut",
    "Packet",
    "SeedLinkClient",
    "SeedLinkServer",
    "ServerLimits",
    "decode",
    "encode_records",
    "to_miniseed3",
]
