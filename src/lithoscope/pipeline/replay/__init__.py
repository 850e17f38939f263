"""Serve an archive as a live network, with faults on demand."""

from lithoscope.pipeline.replay.faults import FaultSettings
from lithoscope.pipeline.replay.replay import Replay, ReplayReport, ReplaySettings

__all__ = ["FaultSettings", "Replay", "ReplayReport", "ReplaySettings"]
