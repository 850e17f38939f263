"""What ObsPy's readers raise on damaged or foreign files (1.5.1; they promise no common base)."""

from __future__ import annotations

import struct
import tarfile
import zipfile
import zlib
from xml.etree.ElementTree import ParseError

from obspy.core.util.obspy_types import ObsPyException
from obspy.io.gse2.libgse2 import ChksumError, GSEUtiError
from obspy.io.kinemetrics.evt_base import EvtBaseError
from obspy.io.nied.knet import KNETException
from obspy.io.sac.util import SacError
from obspy.io.seg2.seg2 import SEG2BaseError
from obspy.io.segy.segy import SEGYError

READ_ERRORS = (
    ObsPyException,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    EOFError,
    MemoryError,
    RuntimeError,
    SyntaxError,  # lxml's XMLSyntaxError is one
    UnboundLocalError,
    ParseError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    # These readers of ObsPy raise errors of their own, derived from Exception.
    SEGYError,
    SEG2BaseError,
    SacError,
    EvtBaseError,
    KNETException,
    GSEUtiError,
    ChksumError,
)


def first_line(error: object) -> str:
    """Return the first line of an error's or a warning's text, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
