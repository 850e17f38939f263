"""The application: routes, limits and errors put together."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from fastapi import FastAPI, HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from lithoscope import __version__
from lithoscope.service import api_events, api_live, api_review, api_stations, fdsn_routes
from lithoscope.service.auth import Tokens
from lithoscope.service.batches import Batches
from lithoscope.service.errors import add_handlers
from lithoscope.service.events import details
from lithoscope.service.guard import Guard
from lithoscope.service.settings import ServiceSettings
from lithoscope.service.state import make_state

STATIC = Path(__file__).parent / "static"


def create_app(settings: ServiceSettings) -> FastAPI:
    """Return the ASGI application that serves a run or a database.

    It answers below ``/fdsnws`` (FDSN event, station and dataselect 1), ``/api`` (JSON, described
    by ``/api/openapi.json``), and with the page at ``/``. See docs/serve.md and docs/api.md.

    Parameters
    ----------
    settings
        What to serve, who may write, and the limits.

    Raises
    ------
    LithoscopeError
        If the run or the database cannot be opened.
    """
    state = make_state(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        follower = asyncio.create_task(state.feed.follow())
        try:
            yield
        finally:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower
            state.close()

    app = FastAPI(
        title="Lithoscope",
        summary="Earthquake catalogues with honest uncertainties",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # FastAPI's pages load scripts from another site
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.lithoscope = state
    app.state.tokens = Tokens(settings)
    app.state.details = Batches(state.workers, partial(details, state))
    app.state.quakeml = Batches(state.workers, state.texts.load)
    state.recordings.start()
    add_handlers(app)
    app.add_middleware(Guard, limits=settings.limits)
    for module in (api_events, api_stations, api_live, api_review):
        app.include_router(module.router, prefix="/api")
    fdsn_routes.add_routes(app)
    _add_page(app)
    return app


def _add_page(app: FastAPI) -> None:
    # What Python guesses depends on the machine; browsers refuse modules of another type.
    mimetypes.add_type("text/javascript", ".js")

    @app.get("/", include_in_schema=False)
    async def _page(_: Request) -> Response:
        if not (STATIC / "index.html").is_file():
            raise HTTPException(404, "this installation has no page")
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")
