"""A few plot primitives that write SVG; colours come from the page's style sheet.

matplotlib would freeze one theme and its own fonts into each figure; these follow the reader's
dark or light setting, stay sharp and are an order of magnitude smaller.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray


def escape(text: object) -> str:
    """Return ``text`` safe inside HTML and inside a quoted attribute."""
    return html.escape(str(text), quote=True)


def number(value: float, digits: int = 1) -> str:
    """Return a short decimal for SVG coordinates."""
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"


def nice_ticks(low: float, high: float, n: int = 6) -> NDArray[np.float64]:
    """Return about ``n`` round numbers between ``low`` and ``high``."""
    span = high - low
    if not np.isfinite(span) or span <= 0:
        return np.array([low])
    raw = span / max(n, 1)
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(float(m) * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    return np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step


def tick_label(value: float, step: float) -> str:
    """Return the label of a tick with just the decimals that its step needs."""
    if step <= 0 or not np.isfinite(step):
        return f"{value:g}"
    decimals = int(max(0, -np.floor(np.log10(step) + 1e-9)))
    if abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
        decimals += 1
    if value != 0 and abs(value) >= 1e6:
        return f"{value:.3g}"
    text = f"{value:.{decimals}f}"
    return text.replace("-", "−") if float(text) != 0 else text.lstrip("-")


def padded(values: ArrayLike, fraction: float = 0.05, least: float = 1e-6) -> tuple[float, float]:
    """Return the finite range of ``values`` widened by ``fraction``, never empty."""
    array = np.asarray(values, dtype=float)
    array = array[np.isfinite(array)]
    if len(array) == 0:
        return 0.0, 1.0
    low, high = float(array.min()), float(array.max())
    margin = max((high - low) * fraction, least)
    return low - margin, high + margin


@dataclass
class Plot:
    """One panel with a frame, ticks and labels in data coordinates.

    Parameters
    ----------
    x_range, y_range
        Data limits; give them reversed to turn an axis around (depth).
    x_label, y_label
        With units.
    title
        Short name; read out by screen readers before ``description``.
    description
        What the figure shows, in words (alternative text).
    width, height
        Size of the view box; on screen the figure scales to its column.
    log_y
        Logarithmic ordinate; limits and values must be positive.
    counts
        Axis ('x' or 'y') that counts things and gets whole numbers only.
    margins
        Left, right, top, bottom.
    """

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_label: str
    y_label: str
    title: str
    description: str
    width: float = 460
    height: float = 300
    log_y: bool = False
    counts: str = ""
    margins: tuple[float, float, float, float] = (56, 14, 14, 44)
    x_ticks: Sequence[tuple[float, str]] | None = None
    y_ticks: Sequence[tuple[float, str]] | None = None
    y_grid: bool = True
    _body: list[str] = field(default_factory=list)
    _over: list[str] = field(default_factory=list)

    def x(self, value: ArrayLike) -> NDArray[np.float64]:
        """Return view box abscissae."""
        low, high = self.x_range
        left, right = self.margins[0], self.width - self.margins[1]
        return left + (np.asarray(value, float) - low) / (high - low) * (right - left)

    def y(self, value: ArrayLike) -> NDArray[np.float64]:
        """Return view box ordinates."""
        low, high = self.y_range
        values = np.asarray(value, float)
        if self.log_y:
            low, high, values = np.log10(low), np.log10(high), np.log10(np.maximum(values, 1e-300))
        top, bottom = self.margins[2], self.height - self.margins[3]
        return bottom - (values - low) / (high - low) * (bottom - top)

    def add(self, markup: str) -> None:
        """Add raw SVG inside the frame (clipped to it)."""
        self._body.append(markup)

    def line(self, x: ArrayLike, y: ArrayLike, css: str = "line") -> None:
        """Draw a polyline; points that are not finite break it."""
        px, py = np.broadcast_arrays(self.x(x), self.y(y))
        parts, pen = [], "M"
        for a, b in zip(px.ravel(), py.ravel(), strict=True):
            if not (np.isfinite(a) and np.isfinite(b)):
                pen = "M"
                continue
            parts.append(f"{pen}{a:.1f} {b:.1f}")
            pen = "L"
        if parts:
            self.add(f'<path class="{css}" d="{"".join(parts)}"/>')

    def steps(self, x: ArrayLike, y: ArrayLike, css: str = "line") -> None:
        """Draw a staircase that jumps to ``y[i]`` at ``x[i]``."""
        xs, ys = np.asarray(x, float), np.asarray(y, float)
        self.line(np.repeat(xs, 2)[1:], np.repeat(ys, 2)[:-1], css)

    def dots(
        self,
        x: ArrayLike,
        y: ArrayLike,
        radius: ArrayLike = 2.5,
        css: str = "dot",
        *,
        extra: Sequence[str] | None = None,
    ) -> None:
        """Draw circles; ``extra`` holds further attributes for each."""
        px, py, r = np.broadcast_arrays(self.x(x), self.y(y), np.asarray(radius, float))
        out = []
        for i, (a, b, c) in enumerate(zip(px.ravel(), py.ravel(), r.ravel(), strict=True)):
            if np.isfinite(a) and np.isfinite(b):
                more = f" {extra[i]}" if extra is not None else ""
                out.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{number(float(c))}"{more}/>')
        self.add(f'<g class="{css}">{"".join(out)}</g>')

    def segments(
        self, x0: ArrayLike, y0: ArrayLike, x1: ArrayLike, y1: ArrayLike, css: str = "bar"
    ) -> None:
        """Draw straight pieces (error bars) as one path."""
        a, b, c, d = np.broadcast_arrays(self.x(x0), self.y(y0), self.x(x1), self.y(y1))
        good = np.isfinite(a) & np.isfinite(b) & np.isfinite(c) & np.isfinite(d)
        pieces = [
            f"M{p:.1f} {q:.1f}L{r:.1f} {s:.1f}"
            for p, q, r, s in zip(a[good], b[good], c[good], d[good], strict=True)
        ]
        if pieces:
            self.add(f'<path class="{css}" d="{"".join(pieces)}"/>')

    def boxes(
        self, x0: ArrayLike, x1: ArrayLike, y0: ArrayLike, y1: ArrayLike, css: str = "fill"
    ) -> None:
        """Draw filled rectangles between data limits (bars of a histogram)."""
        a, b, c, d = np.broadcast_arrays(self.x(x0), self.x(x1), self.y(y0), self.y(y1))
        out = []
        for p, q, r, s in zip(a.ravel(), b.ravel(), c.ravel(), d.ravel(), strict=True):
            left, wide, top, high = min(p, q), abs(q - p), min(r, s), abs(r - s)
            if np.isfinite(left + wide + top + high) and high > 0:
                out.append(f"M{left:.1f} {top:.1f}h{max(wide, 0.4):.1f}v{high:.1f}h-{wide:.1f}z")
        if out:
            self.add(f'<path class="{css}" d="{"".join(out)}"/>')

    def text(self, x: float, y: float, text: str, css: str = "note", anchor: str = "start") -> None:
        """Write at a data position (not clipped)."""
        self._over.append(
            f'<text class="{css}" x="{float(self.x(x)):.1f}" y="{float(self.y(y)):.1f}" '
            f'text-anchor="{anchor}">{escape(text)}</text>'
        )

    def legend(self, entries: Iterable[tuple[str, str]], *, right: bool = True) -> None:
        """List ``(css class, label)`` inside the frame's upper corner."""
        items = list(entries)
        wide = 6.9 * max((len(label) for _, label in items), default=0)
        left = self.width - self.margins[1] - 28 - wide if right else self.margins[0] + 10
        top = self.margins[2] + 8
        self._over.append(
            f'<rect class="legend" x="{left - 6:.1f}" y="{top - 5:.1f}" '
            f'width="{wide + 30:.1f}" height="{16 * len(items) + 6}" rx="3"/>'
        )
        self._keys([(left, top + 8 + 16 * i, *item) for i, item in enumerate(items)])

    def legend_above(self, entries: Iterable[tuple[str, str]]) -> None:
        """List ``(css class, label)`` in one line above the frame; leave a top margin of 28."""
        left, rows = self.margins[0], []
        for css, label in entries:
            rows.append((left, self.margins[2] - 13.0, css, label))
            left += 36 + 7.2 * len(label)
        self._keys(rows)

    def _keys(self, rows: list[tuple[float, float, str, str]]) -> None:
        out = []
        for left, y, css, label in rows:
            mark = f'<path d="M{left:.1f} {y:.1f}h14" class="{css}"/>'
            if css.startswith("fill"):
                mark = f'<path d="M{left:.1f} {y - 5:.1f}h14v10h-14z" class="{css}"/>'
            elif css.startswith("dot"):
                mark = f'<g class="{css}"><circle cx="{left + 7:.1f}" cy="{y:.1f}" r="3.5"/></g>'
            elif css.startswith("station"):
                mark = f'<path class="{css}" d="M{left + 7:.1f} {y - 5:.1f}l5 9h-10z"/>'
            out.append(mark)
            out.append(f'<text x="{left + 19:.1f}" y="{y + 4:.1f}">{escape(label)}</text>')
        self._over.extend(out)

    def svg(self, css: str = "") -> str:
        """Return the figure."""
        left, right, top, bottom = self.margins
        wide, high = self.width - left - right, self.height - top - bottom
        clip = "c" + "".join(c if c.isalnum() else "-" for c in self.title.lower())
        name = escape(self.title)
        return (
            f'<svg class="plot {css}" role="img" viewBox="0 0 {number(self.width)} '
            f'{number(self.height)}" aria-label="{name}. {escape(self.description)}">'
            f'<clipPath id="{clip}"><rect x="{left}" y="{top}" width="{number(wide)}" '
            f'height="{number(high)}"/></clipPath>'
            f'<rect class="panel" x="{left}" y="{top}" width="{number(wide)}" '
            f'height="{number(high)}"/>'
            f'{self._axes()}<g clip-path="url(#{clip})">{"".join(self._body)}</g>'
            f'<rect class="frame" x="{left}" y="{top}" width="{number(wide)}" '
            f'height="{number(high)}"/>{"".join(self._over)}</svg>'
        )

    def _ticks(self, axis: str) -> list[tuple[float, str]]:
        given = self.x_ticks if axis == "x" else self.y_ticks
        if given is not None:
            return list(given)
        low, high = sorted(self.x_range if axis == "x" else self.y_range)
        if axis == "y" and self.log_y:
            powers = np.arange(np.ceil(np.log10(low) - 1e-9), np.floor(np.log10(high) + 1e-9) + 1)
            return [(10.0**p, f"{10.0**p:,.0f}" if p >= 0 else f"{10.0**p:g}") for p in powers]
        room = self.width if axis == "x" else self.height
        values = nice_ticks(low, high, max(3, int(room / (75 if axis == "x" else 45))))
        if axis == self.counts:
            values = np.unique(np.round(values))
        step = float(values[1] - values[0]) if len(values) > 1 else 0.0
        return [(float(v), tick_label(float(v), step)) for v in values]

    def _axes(self) -> str:
        left, right, top, bottom = self.margins
        base, end = self.height - bottom, self.width - right
        grid, text = [], []
        for value, label in self._ticks("x"):
            a = float(self.x(value))
            grid.append(f"M{a:.1f} {top}V{base:.1f}")
            text.append(f'<text class="tx" x="{a:.1f}" y="{base + 15:.1f}">{escape(label)}</text>')
        for value, label in self._ticks("y"):
            b = float(self.y(value))
            if self.y_grid:
                grid.append(f"M{left} {b:.1f}H{end:.1f}")
            text.append(f'<text class="ty" x="{left - 6}" y="{b + 4:.1f}">{escape(label)}</text>')
        middle_x, middle_y = (left + end) / 2, (top + base) / 2
        text.append(
            f'<text class="ax" x="{middle_x:.1f}" y="{self.height - 7:.1f}">'
            f"{escape(self.x_label)}</text>"
            f'<text class="ax" transform="translate(13 {middle_y:.1f}) rotate(-90)">'
            f"{escape(self.y_label)}</text>"
        )
        return f'<path class="grid" d="{"".join(grid)}"/>{"".join(text)}'


def time_ticks(low_ns: int, high_ns: int, n: int = 7) -> list[tuple[float, str]]:
    """Return UTC ticks as (seconds since 1970, label): clock times, or dates on long spans."""
    span = max((high_ns - low_ns) / 1e9, 1e-3)
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
    days = (86400 * np.array([1, 2, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1825])).tolist()
    step = next((s for s in (*steps, *days) if span / s <= n), span / n)
    first = np.ceil(low_ns / 1e9 / step) * step
    ticks: list[tuple[float, str]] = []
    for value in np.arange(first, high_ns / 1e9 + 1e-9, step):
        date, clock = str(np.datetime64(round(float(value)), "s")).split("T")
        label = date if step >= 86400 else clock if step < 60 else clock[:5]
        if 3600 <= step < 86400 and clock[:5] == "00:00":
            label = date
        ticks.append((float(value), label))
    return ticks
