"""Errors as answers: one JSON shape, and nothing of the machine in it."""

from __future__ import annotations

import logging
import re
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lithoscope.errors import DataError, LithoscopeError
from lithoscope.service.models import Problem
from lithoscope.service.work import Busy

_LOG = logging.getLogger("lithoscope.service")
# A path begins with a slash or a scheme; the slashes in a pick's id follow a letter.
_PATH = re.compile(r"(?:[a-z+]+:/|(?<![\w.]))/[^\s'\";,)]+")

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "The request cannot be met as it stands",
        404: "There is no such thing",
        413: "More than one answer holds",
        422: "A value does not fit its parameter",
        503: "Too much to do at the moment",
    }.items()
}


def without_paths(text: str) -> str:
    """Return a message of ours without names of files on this machine."""
    return _PATH.sub("...", text)


def too_much(asked: int, most: int) -> HTTPException:
    """Return a 413 that says how to go on."""
    return HTTPException(
        413,
        f"{asked} events fit and one answer holds {most}; use limit and offset, or ask for less",
    )


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error in the API's one shape."""
    return JSONResponse({"detail": detail}, status_code=status, headers=headers)


def add_handlers(app: FastAPI) -> None:
    """Translate every error that a route may raise."""

    @app.exception_handler(StarletteHTTPException)
    async def _http(_: Request, error: StarletteHTTPException) -> Response:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}) or None)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return problem(422, f"{name}: {first['msg']}")

    @app.exception_handler(Busy)
    async def _busy(_: Request, error: Busy) -> Response:
        return problem(503, str(error), {"Retry-After": "2"})

    @app.exception_handler(LithoscopeError)
    async def _ours(_: Request, error: LithoscopeError) -> Response:
        # Texts of our errors name files; the client gets the kind, the log the rest.
        _LOG.warning("%s", error)
        if isinstance(error, DataError):
            return problem(400, "the request does not fit the data")
        return problem(503, "the catalogue or the recordings cannot be read at the moment")
