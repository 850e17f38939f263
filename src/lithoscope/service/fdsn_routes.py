"""Addresses of the FDSN services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from xml.sax.saxutils import escape

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lithoscope.errors import LithoscopeError
from lithoscope.service import fdsn_dataselect, fdsn_event, fdsn_station
from lithoscope.service.fdsn import FdsnError, Parameter, Service, error_response
from lithoscope.service.state import State
from lithoscope.service.work import Busy

Handler = Callable[[State, Request], Awaitable[Response]]
_XML = "application/xml"


def add_routes(app: FastAPI) -> None:
    """Add the three services to the application."""
    services: list[tuple[Service, Handler]] = [
        (module.SERVICE, module.query) for module in (fdsn_event, fdsn_station, fdsn_dataselect)
    ]
    for service, handler in services:
        app.include_router(_router(service, handler))
    app.include_router(_event_lists())


def _router(service: Service, handler: Handler) -> APIRouter:
    router = APIRouter(prefix=service.path, tags=[f"FDSN {service.name}"])

    async def query(request: Request) -> Response:
        try:
            return await handler(request.app.state.lithoscope, request)
        except FdsnError as error:
            return error_response(request, service, error)
        except Busy as error:
            return error_response(request, service, FdsnError(503, str(error)))
        except LithoscopeError:
            text = "the data cannot be read at the moment"
            return error_response(request, service, FdsnError(503, text))

    async def version() -> Response:
        return PlainTextResponse(service.version)

    async def wadl(request: Request) -> Response:
        return Response(service.wadl(str(request.base_url)), media_type=_XML)

    async def usage(request: Request) -> Response:
        return PlainTextResponse(_usage(service))

    # This one answers; the two below are what the document says of its methods.
    router.add_api_route("/query", query, methods=list(service.methods), include_in_schema=False)
    router.add_api_route(
        "/query",
        query,
        methods=["GET"],
        name=f"{service.name} query",
        operation_id=f"fdsn_{service.name}_query",
        response_class=Response,
        responses=_responses(service),
        openapi_extra={"parameters": [_openapi(p) for p in service.parameters]},
    )
    if "POST" in service.methods:
        router.add_api_route(
            "/query",
            query,
            methods=["POST"],
            name=f"{service.name} query by POST",
            operation_id=f"fdsn_{service.name}_query_post",
            response_class=Response,
            responses=_responses(service),
            openapi_extra={
                "requestBody": {
                    "required": True,
                    "content": {"text/plain": {"schema": {"type": "string"}}},
                }
            },
        )
    text: dict[int | str, Any] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
    xml: dict[int | str, Any] = {200: {"content": {_XML: {"schema": {"type": "string"}}}}}
    options: dict[str, Any] = {"methods": ["GET"], "response_class": Response}
    router.add_api_route("/version", version, responses=text, **options)
    router.add_api_route("/application.wadl", wadl, responses=xml, **options)
    router.add_api_route("/", usage, responses=text, **options)
    return router


def _event_lists() -> APIRouter:
    router = APIRouter(prefix=fdsn_event.SERVICE.path, tags=["FDSN event"])
    xml: dict[int | str, Any] = {200: {"content": {_XML: {"schema": {"type": "string"}}}}}

    @router.get("/catalogs", response_class=Response, responses=xml)
    async def catalogs(request: Request) -> Response:
        """Return the names of the catalogues."""
        return _names("Catalogs", "Catalog", request.app.state.lithoscope.settings.catalog)

    @router.get("/contributors", response_class=Response, responses=xml)
    async def contributors(request: Request) -> Response:
        """Return the names of the contributors."""
        name = request.app.state.lithoscope.settings.contributor
        return _names("Contributors", "Contributor", name)

    return router


def _names(outer: str, inner: str, name: str) -> Response:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{outer}><{inner}>{escape(name)}</{inner}>'
        f"</{outer}>\n"
    )
    return Response(text, media_type=_XML)


def _responses(service: Service) -> dict[int | str, dict[str, Any]]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    media = {name: {"schema": {"type": "string"}} for name in service.answers}
    return {
        200: {"description": "The data", "content": media},
        204: {"description": "Nothing fits"},
        400: {"description": "The request is wrong", "content": text},
        404: {"description": "Nothing fits, with nodata=404", "content": text},
        413: {"description": "More than one answer holds", "content": text},
        503: {"description": "Too much to do at the moment", "content": text},
    }


def _openapi(parameter: Parameter) -> dict[str, Any]:
    kinds = {"time": "string", "float": "number", "integer": "integer", "boolean": "boolean"}
    schema: dict[str, Any] = {"type": kinds.get(parameter.kind, "string")}
    if parameter.kind == "time":
        schema["format"] = "date-time"
    if parameter.name == "nodata":
        schema["enum"] = [204, 404]
    elif parameter.options:
        schema["enum"] = list(parameter.options)
    elif parameter.kind == "text":
        schema["minLength"] = 1
    if parameter.low is not None:
        schema["minimum"] = parameter.low
    if parameter.high is not None:
        schema["maximum"] = parameter.high
    if parameter.default is not None:
        schema["default"] = parameter.default
    about = parameter.about + (f"; short: {parameter.alias}" if parameter.alias else "")
    return {
        "name": parameter.name,
        "in": "query",
        "required": False,
        "description": about,
        "schema": schema,
    }


def _usage(service: Service) -> str:
    lines = [
        f"FDSN {service.name} web service, version {service.version}",
        "",
        f"{service.path}/query?PARAMETER=VALUE&...",
        f"{service.path}/version",
        f"{service.path}/application.wadl",
        *(f"{service.path}/{name}" for name in service.resources),
        "",
        "Parameters of query:",
    ]
    for p in service.parameters:
        name = f"{p.name} ({p.alias})" if p.alias else p.name
        default = "" if p.default is None else f"; default {p.default}"
        options = f"; one of {', '.join(p.options)}" if p.options else ""
        lines.append(f"  {name}: {p.kind}, {p.about}{options}{default}")
    return "\n".join(lines) + "\n"
