"""The page around the figures: sections, tables, captions, one document without outside parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.report.svg import escape

# Nothing may be fetched, by us or by anything that slipped into a name: the browser enforces it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Section:
    """One part of the page; ``html`` follows its heading."""

    anchor: str
    title: str
    html: str
    short: str = ""


def paragraph(text: str, css: str = "") -> str:
    """Return a paragraph of plain text."""
    return f'<p class="{css}">{escape(text)}</p>' if css else f"<p>{escape(text)}</p>"


def figure(body: str, caption: str, css: str = "") -> str:
    """Return a figure; ``caption`` is plain text."""
    return (
        f'<figure class="{css}"><div class="scroll">{body}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def grid(*parts: str, css: str = "two") -> str:
    """Return figures side by side where the screen is wide enough."""
    return f'<div class="grid {css}">{"".join(p for p in parts if p)}</div>'


def cards(items: Iterable[tuple[str, str, str]]) -> str:
    """Return a row of key figures: (value, name, remark)."""
    out = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        f"<dd class=remark>{escape(note)}</dd></div>"
        for value, name, note in items
    )
    return f'<dl class="cards">{out}</dl>'


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    caption: str,
    numeric: Sequence[int] = (),
    tall: bool = True,
    identifier: str = "",
    row_attributes: Sequence[str] | None = None,
) -> str:
    """Return a sortable table.

    Parameters
    ----------
    header
        Column names with units.
    rows
        Cells; a cell of type `Markup` is taken as it is, all others are escaped.
    caption
        Plain text above the table.
    numeric
        Columns that are set flush right and sorted as numbers.
    tall
        Give it its own scroll bar when long.
    identifier
        Element id.
    row_attributes
        Raw attributes of each row.
    """
    right = set(numeric)
    head = "".join(
        f'<th scope="col"{" class=n" if i in right else ""}><button type="button">{escape(name)}'
        f"</button></th>"
        for i, name in enumerate(header)
    )
    body = []
    for i, row in enumerate(rows):
        cells = []
        for j, cell in enumerate(row):
            text = cell if isinstance(cell, Markup) else escape(cell)
            cells.append(f"<td class=n>{text}</td>" if j in right else f"<td>{text}</td>")
        extra = f" {row_attributes[i]}" if row_attributes is not None else ""
        body.append(f"<tr{extra}>{''.join(cells)}</tr>")
    mark = f' id="{identifier}"' if identifier else ""
    return (
        f'<div class="table{" tall" if tall else ""}" tabindex="0" role="region" '
        f'aria-label="{escape(caption)}"><table{mark}><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield named tuples of the rows (typed loosely: columns are known by name only)."""
    return iter(frame.itertuples())


def fixed(value: object, digits: int = 2, *, sign: bool = False) -> str:
    """Return a number with ``digits`` decimals; '–' where there is none."""
    if value is None or not np.isfinite(float(value)):  # type: ignore[arg-type]
        return "–"
    text = f"{float(value):{'+' if sign else ''}.{digits}f}"  # type: ignore[arg-type]
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def moment(time: object, digits: int = 2) -> str:
    """Return a UTC time as text, '–' for NaT."""
    stamp = pd.Timestamp(time)  # type: ignore[arg-type]
    if pd.isna(stamp):
        return "–"
    stamp = stamp.round(pd.Timedelta(10 ** (9 - digits), "ns"))
    text = stamp.strftime("%Y-%m-%d %H:%M:%S.%f")
    return text[: 20 + digits] if digits else text[:19]


def duration(seconds: float) -> str:
    """Return a length of time in the unit that suits it."""
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86400:.3g} days"


def document(title: str, subtitle: str, sections: Sequence[Section], data: str) -> str:
    """Return the whole page.

    Parameters
    ----------
    title, subtitle
        Plain text.
    sections
        In order.
    data
        JSON for the script, already safe inside a script element.
    """
    assets = files("lithoscope.report") / "assets"
    style = (assets / "report.css").read_text(encoding="utf-8")
    script = (assets / "report.js").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{s.anchor}">{escape(s.short or s.title)}</a>' for s in sections)
    parts = "".join(
        f'<section id="{s.anchor}" aria-labelledby="{s.anchor}-h">'
        f'<h2 id="{s.anchor}-h">{escape(s.title)}</h2>{s.html}</section>'
        for s in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n"
        f'<body><a class="skip" href="#main">Skip to the content</a>'
        f'<header><p class="brand">Lithoscope report</p><h1>{escape(title)}</h1>'
        f"<p>{escape(subtitle)}</p></header>"
        f'<nav aria-label="Contents"><div>{links}</div></nav>\n<main id="main">{parts}</main>\n'
        f"<footer><p>Made by Lithoscope. This page is complete in itself and loads nothing.</p>"
        f"</footer>"
        f'<div id="tip" role="status" hidden></div>\n'
        f'<script type="application/json" id="report-data">{data}</script>\n'
        f"<script>{script}</script></body></html>\n"
    )
