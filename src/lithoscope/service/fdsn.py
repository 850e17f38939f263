"""What the FDSN services share: parameters, errors, and the description of themselves (WADL).

After "FDSN Web Service Specifications 1.2" (2019), https://www.fdsn.org/webservices/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal
from xml.sax.saxutils import escape, quoteattr

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lithoscope.service.times import iso, now_ns, parse_time

Kind = Literal["time", "float", "integer", "boolean", "text"]

_NUMBER = re.compile(r"[+-]?(\d{1,300}\.?\d{0,300}|\.\d{1,300})([eE][+-]?\d{1,3})?", re.ASCII)
_INTEGER = re.compile(r"\d{1,15}", re.ASCII)
_XSD = {
    "time": "xs:dateTime",
    "float": "xs:double",
    "integer": "xs:int",
    "boolean": "xs:boolean",
    "text": "xs:string",
}
_LONGEST = 10_000  # characters of one value


@dataclass(frozen=True)
class Parameter:
    """One parameter of a service; ``low`` and ``high`` are inclusive."""

    name: str
    kind: Kind
    about: str
    alias: str = ""
    low: float | None = None
    high: float | None = None
    default: Any = None
    options: tuple[str, ...] = ()

    def parse(self, text: str) -> Any:
        """Return the value of a text.

        Raises
        ------
        FdsnError
            400 if the text is no value of this parameter.
        """
        if len(text) > _LONGEST:
            raise FdsnError(400, f"{self.name} is longer than {_LONGEST} characters")
        if self.kind == "time":
            try:
                return parse_time(text)
            except ValueError as error:
                raise FdsnError(400, f"{self.name}: {error}") from None
        if self.kind == "boolean":
            if text.lower() not in ("true", "false"):
                raise FdsnError(400, f"{self.name} = '{text}': write true or false")
            return text.lower() == "true"
        if self.kind == "text":
            return self._option(text)
        pattern, convert = (_NUMBER, float) if self.kind == "float" else (_INTEGER, int)
        if pattern.fullmatch(text) is None:
            raise FdsnError(400, f"{self.name} = '{text}' is not a number of the right kind")
        value = convert(text)
        low = -1e308 if self.low is None else self.low
        high = 1e308 if self.high is None else self.high
        if not low <= value <= high:
            raise FdsnError(400, f"{self.name} = {text} is out of range {low:g} to {high:g}")
        return value

    def _option(self, text: str) -> str:
        if not text:
            raise FdsnError(400, f"{self.name} is empty; leave it out or give a value")
        if self.options and text.lower() not in self.options:
            allowed = ", ".join(self.options)
            raise FdsnError(400, f"{self.name} = '{text}': allowed are {allowed}")
        return text.lower() if self.options else text


NODATA = Parameter(
    "nodata",
    "integer",
    "HTTP status of an answer without data: 204 or 404",
    default=204,
    options=("204", "404"),
)


class FdsnError(Exception):
    """An answer that is no data: its status and why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass(frozen=True)
class Service:
    """One service: its name, version and parameters."""

    name: str
    version: str
    parameters: tuple[Parameter, ...]
    methods: tuple[str, ...] = ("GET",)
    resources: tuple[str, ...] = ()
    media: str = "application/xml"
    answers: tuple[str, ...] = ("application/xml",)

    @property
    def path(self) -> str:
        return f"/fdsnws/{self.name}/1"

    def parse(self, items: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Return the values by parameter name, defaults where nothing is given.

        Raises
        ------
        FdsnError
            400 for an unknown parameter, one given twice, or a value that does not fit.
        """
        names = {p.name: p for p in self.parameters}
        names |= {p.alias: p for p in self.parameters if p.alias}
        values: dict[str, Any] = {}
        for key, text in items:
            parameter = names.get(key.lower())
            if parameter is None:
                known = ", ".join(p.name for p in self.parameters)
                raise FdsnError(400, f"unknown parameter '{key[:100]}'; known are {known}")
            if parameter.name in values:
                raise FdsnError(400, f"{parameter.name} is given twice")
            if parameter.name == "nodata":
                if text not in ("204", "404"):
                    raise FdsnError(400, f"nodata = '{text[:100]}': allowed are 204 and 404")
                values["nodata"] = int(text)
            else:
                values[parameter.name] = parameter.parse(text)
        return {p.name: p.default for p in self.parameters} | values

    def wadl(self, base_url: str) -> str:
        """Return the description that clients discover the service by."""
        base = f"{base_url.rstrip('/')}{self.path}/"
        params = "\n".join(_wadl_parameter(p) for p in self.parameters)
        queries = "\n".join(
            f'      <method name="{method}" id="{"query" if method == "GET" else "postQuery"}">\n'
            + (f"        <request>\n{params}\n        </request>\n" if method == "GET" else "")
            + _WADL_RESPONSE.format(media=self.media)
            + "      </method>"
            for method in self.methods
        )
        others = "\n".join(
            f'    <resource path="{name}"><method name="GET"><response status="200">'
            f'<representation mediaType="{media}"/></response></method></resource>'
            for name, media in [
                ("version", "text/plain"),
                ("application.wadl", "application/xml"),
                *[(name, "application/xml") for name in self.resources],
            ]
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<application xmlns="http://wadl.dev.java.net/2009/02" '
            'xmlns:xs="http://www.w3.org/2001/XMLSchema">\n'
            f'  <resources base={quoteattr(base)}>\n    <resource path="query">\n{queries}\n'
            f"    </resource>\n{others}\n  </resources>\n</application>\n"
        )


_WADL_RESPONSE = (
    '        <response status="200"><representation mediaType="{media}"/></response>\n'
    '        <response status="204 400 404 413 503">'
    '<representation mediaType="text/plain"/></response>\n'
)


def _wadl_parameter(parameter: Parameter) -> str:
    default = ""
    if parameter.default is not None:
        text = str(parameter.default)
        default = f" default={quoteattr(text.lower())}"
    options = "".join(f"<option value={quoteattr(name)}/>" for name in parameter.options)
    return (
        f'          <param name="{parameter.name}" style="query" '
        f'type="{_XSD[parameter.kind]}"{default}>'
        f"<doc>{escape(parameter.about)}</doc>{options}</param>"
    )


def error_response(request: Request, service: Service, error: FdsnError) -> Response:
    """Return the FDSN plain-text form of an error; 204 has no body."""
    if error.status == 204:
        return Response(status_code=204)
    phrase = HTTPStatus(error.status).phrase
    text = (
        f"Error {error.status}: {phrase}\n\n{error.detail}\n\n"
        f"Usage details are available from {request.base_url}fdsnws/{service.name}/1/\n\n"
        f"Request:\n{request.url}\n\n"
        f"Request Submitted:\n{iso(now_ns())}\n\n"
        f"Service version:\n{service.version}\n"
    )
    return PlainTextResponse(text, status_code=error.status)


def check_order(values: Mapping[str, Any], pairs: Sequence[tuple[str, str]]) -> None:
    """Refuse limits the wrong way round."""
    for low, high in pairs:
        a, b = values.get(low), values.get(high)
        if a is not None and b is not None and a > b:
            raise FdsnError(400, f"{low} is above {high}")
