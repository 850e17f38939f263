"""Find, read, check, merge and resample waveforms."""

from lithoscope.waveforms.archive import Archive, index_archive
from lithoscope.waveforms.read import read_records
from lithoscope.waveforms.record import Record
from lithoscope.waveforms.resampling import resample
from lithoscope.waveforms.settings import WaveformSettings

__all__ = [
    "Archive",
    "Record",
    "WaveformSettings",
    "index_archive",
    "read_records",
    "resample",
]
