"""Who may write."""

from __future__ import annotations

import hashlib
import hmac

from fastapi import HTTPException
from starlette.requests import Request

from lithoscope.service.settings import ServiceSettings


class Tokens:
    """The tokens of reviewers, kept as digests."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._digests = [(name, _digest(t.get_secret_value())) for name, t in settings.tokens]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def owner(self, token: str) -> str | None:
        """Return whose token it is; the time taken does not tell how much of it is right."""
        given, found = _digest(token), None
        for name, digest in self._digests:
            if hmac.compare_digest(digest, given):
                found = name
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def reviewer(tokens: Tokens, request: Request) -> str:
    """Return the name of the reviewer who asks.

    Raises
    ------
    HTTPException
        401 without a token, 403 with a wrong one or where the server has none.
    """
    if not tokens:
        raise HTTPException(403, "read-only: the server was started without tokens")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise HTTPException(
            401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
        )
    name = tokens.owner(token.strip())
    if name is None:
        raise HTTPException(403, "the token is not known")
    return name
