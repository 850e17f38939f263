"""Read velocity models: CSV, NonLinLoc LAYER lines, and TauP/REAL ``.nd`` tables."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Literal

import numpy as np

from lithoscope.errors import ModelError
from lithoscope.traveltimes.models import VelocityModel

Interpolation = Literal["constant", "linear"]
Row = tuple[int, list[float]]  # line number, values

_ALIASES = {
    "depth": {"depth_km", "depth", "z", "z_km", "top", "top_km", "depth(km)"},
    "vp": {"vp_km_s", "vp", "vp(km/s)", "p", "vp_km/s"},
    "vs": {"vs_km_s", "vs", "vs(km/s)", "s", "vs_km/s"},
}
_GRADIENTS = {
    "vp_gradient": {"vp_gradient_per_s", "vp_gradient", "vp_grad"},
    "vs_gradient": {"vs_gradient_per_s", "vs_gradient", "vs_grad"},
}


def read_velocity_model(
    path: str | Path, *, interpolation: Interpolation | None = None
) -> VelocityModel:
    """Read a layered velocity model.

    The format is recognised by content:

    - CSV (comma, semicolon, tab or blanks) with a header that names depth, vp and vs
      (``depth_km,vp_km_s,vs_km_s``, ``Depth,Vp,Vs`` or ``depth,vp,vs``); km and km/s. Columns
      ``vp_grad`` and ``vs_grad`` (km/s per km) make layers with gradients.
    - NonLinLoc control files: lines ``LAYER depth VpTop VpGrad VsTop VsGrad rhoTop rhoGrad``;
      all other lines are skipped. Gradients are part of the format. Rows of these seven numbers
      without the keyword are read alike (``.nd`` rows have six).
    - ``.nd`` tables without a header (depth vp vs ...): nodes with linear velocity between them,
      as TauP defines it; a repeated depth is a jump; words such as ``mantle`` are skipped, and
      reading stops at the first liquid (vs = 0) below a solid, the outer core.

    Parameters
    ----------
    path
        Text file.
    interpolation
        What a row means. 'constant': the top of a layer with that velocity (default for CSV).
        'linear': a node; velocity is linear to the next node (default for ``.nd``) and constant
        below the last. Not allowed for layers with gradients.

    Raises
    ------
    ModelError
        One line that names file, line number and value: unreadable file, no rows, a depth that
        decreases, vp > vs > 0 violated, a value that is not a finite number.
    """
    path = Path(path)
    if interpolation not in (None, "constant", "linear"):
        raise ModelError(f"interpolation '{interpolation}' is unknown; use 'constant' or 'linear'")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"velocity model '{path}' cannot be read: {reason}") from None
    header = None
    lines = [_with_keyword(line) for line in lines]
    layered = any(line.split()[:1] == ["LAYER"] for line in lines)
    if not layered:
        header = _header(lines)
        layered = header is not None and any(name in header[1] for name in _GRADIENTS)
    if layered and interpolation is not None:
        raise ModelError(
            f"velocity model '{path}': its layers carry their own gradients; "
            "leave interpolation out"
        )
    if layered and header is None:
        return _build(path, _layer_rows(path, lines), "gradients")
    if header is not None:
        if layered:
            return _build(path, _csv_rows(path, lines, *header), "gradients")
        return _build(path, _csv_rows(path, lines, *header), interpolation or "constant")
    return _build(path, _nd_rows(path, lines), interpolation or "linear")


def _with_keyword(line: str) -> str:
    """Return a bare row of NonLinLoc's seven layer columns as a LAYER line, others as they are."""
    cells = line.split()
    if len(cells) != 7:
        return line
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return line
    return f"LAYER {line}"


def _split(line: str) -> list[str]:
    for separator in (",", ";", "\t"):
        if separator in line:
            return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
    return line.split()


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _number(path: Path, number: int, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ModelError(
            f"velocity model '{path}', line {number}: '{cell}' is no number; "
            "give depth in km and velocities in km/s"
        ) from None


def _header(lines: list[str]) -> tuple[int, dict[str, int]] | None:
    """Return the index of the header line and the column of each quantity, or None."""
    for i, line in enumerate(lines):
        if _is_comment(line):
            continue
        names = [cell.lower() for cell in _split(line)]
        found = {
            quantity: names.index(next(n for n in names if n in aliases))
            for quantity, aliases in (_ALIASES | _GRADIENTS).items()
            if any(n in aliases for n in names)
        }
        if not found:
            return None
        missing = ", ".join(sorted(set(_ALIASES) - set(found)))
        if missing:
            raise ModelError(
                f"velocity model, line {i + 1}: the header '{line.strip()}' lacks {missing}; "
                "it must name depth_km, vp_km_s and vs_km_s"
            )
        return i, found
    return None


def _csv_rows(path: Path, lines: list[str], start: int, columns: dict[str, int]) -> list[Row]:
    wanted = ["depth", "vp", "vs"]
    if any(name in columns for name in _GRADIENTS):
        wanted = ["depth", "vp", "vp_gradient", "vs", "vs_gradient"]
    rows = []
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if _is_comment(line):
            continue
        cells = _split(line)
        if len(cells) <= max(columns.values()):
            raise ModelError(
                f"velocity model '{path}', line {number}: {len(cells)} value(s) where the header "
                f"names {max(columns.values()) + 1}"
            )
        rows.append((number, [_value(path, number, cells, columns, q) for q in wanted]))
    return rows


def _value(
    path: Path, number: int, cells: list[str], columns: dict[str, int], quantity: str
) -> float:
    """Return one cell as a number; a gradient without a column is 0."""
    return _number(path, number, cells[columns[quantity]]) if quantity in columns else 0.0


def _layer_rows(path: Path, lines: list[str]) -> list[Row]:
    rows = []
    for number, line in enumerate(lines, 1):
        cells = line.split()
        if cells[:1] != ["LAYER"]:
            continue
        if len(cells) < 6:
            raise ModelError(
                f"velocity model '{path}', line {number}: LAYER needs depth VpTop VpGrad VsTop "
                f"VsGrad; {len(cells) - 1} value(s) given"
            )
        rows.append((number, [_number(path, number, cell) for cell in cells[1:6]]))
    return rows


def _nd_rows(path: Path, lines: list[str]) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        cells = _split(line)
        if _is_comment(line) or (len(cells) == 1 and not cells[0][0].isdigit()):
            continue
        if len(cells) < 3:
            raise ModelError(
                f"velocity model '{path}', line {number}: '{line.strip()}' is no row of depth, "
                "vp and vs"
            )
        values = [_number(path, number, cell) for cell in cells[:3]]
        if rows and values[2] == 0.0 and rows[-1][1][2] > 0.0 and values[0] > 1000.0:
            break  # the outer core; shallower liquids are refused as vs = 0
        rows.append((number, values))
    return rows


def _build(path: Path, rows: list[Row], kind: str) -> VelocityModel:
    where = f"velocity model '{path}'"
    if not rows:
        raise ModelError(f"{where} has no rows of depth, vp and vs")
    for before, (number, values) in zip([None, *rows[:-1]], rows, strict=True):
        if not np.all(np.isfinite(values)):
            raise ModelError(f"{where}, line {number}: a value is not finite; give numbers only")
        vp, vs = values[1], values[3] if kind == "gradients" else values[2]
        if not vp > vs > 0:
            raise ModelError(
                f"{where}, line {number}: vp = {vp:g} and vs = {vs:g} km/s; vp > vs > 0 is required"
            )
        repeats = before is not None and values[0] == before[1][0] and kind != "linear"
        if before is not None and (values[0] < before[1][0] or repeats):
            raise ModelError(
                f"{where}, line {number}: depth {values[0]:g} km does not increase on "
                f"{before[1][0]:g} km above it; order the rows by increasing depth"
            )
    table = np.array([values for _, values in rows])
    if kind == "gradients":
        depth, vp, gp, vs, gs = table.T
        return VelocityModel(depth, vp, vs, gp, gs, path.stem)
    if kind == "linear":
        return VelocityModel.linear_nodes(table[:, 0], table[:, 1], table[:, 2], name=path.stem)
    return VelocityModel.constant_layers(table[:, 0], table[:, 1], table[:, 2], name=path.stem)
