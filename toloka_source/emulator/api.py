"""What the API answers: a page, or an error in its form."""

from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import msgspec
from starlette.responses import Response

from toloka_source.emulator.account import Account
from toloka_source.emulator.fields import endpoint_of
from toloka_source.emulator.query import InvalidParameterError, parse

PREFIX = "/api/v1"
JSON_TYPE = "application/json"


class Api:
    """An account, and who may see it."""

    def __init__(self, account: Account, tokens: Collection[str] | None, forbidden: Collection[str]) -> None:
        """Let in the tokens given, or any for None; forbidden ones are known but have no right."""
        self._account = account
        self._tokens = tokens
        self._forbidden = forbidden

    def answer(self, resource: str, authorization: str, params: Iterable[tuple[str, str]]) -> Response:
        """Answer a list request as things stand."""
        refusal = self._refusal(authorization)
        if refusal is not None:
            return refusal
        try:
            query = parse(endpoint_of(resource), params)
        except InvalidParameterError as invalid:
            return error(
                HTTPStatus.BAD_REQUEST,
                code_name="VALIDATION_ERROR",
                message="The request has an invalid parameter",
                payload={invalid.name: {"code": "INVALID_VALUE", "message": invalid.message}},
            )
        return Response(self._account.page(resource, query), media_type=JSON_TYPE)

    def _refusal(self, authorization: str) -> Response | None:
        scheme, _, token = authorization.partition(" ")
        known = self._tokens is None or token in self._tokens or token in self._forbidden
        if scheme.lower() not in {"oauth", "apikey"} or not token or not known:
            return error(
                HTTPStatus.UNAUTHORIZED,
                code_name="AUTHENTICATION_ERROR",
                message="Send a valid token: 'Authorization: OAuth <token>' or 'Authorization: ApiKey <key>'",
            )
        if token in self._forbidden:
            return error(HTTPStatus.FORBIDDEN, code_name="ACCESS_DENIED", message="The token has no right to do this")
        return None


def error(
    status: int, *, code_name: str | None = None, message: str | None = None, payload: dict[str, Any] | None = None
) -> Response:
    """Return an error in the API's form."""
    words = phrase(status)
    body: dict[str, Any] = {
        "request_id": str(uuid4()),
        "code": code_name or words.upper().replace(" ", "_"),
        "message": message or words,
    }
    if payload is not None:
        body["payload"] = payload
    return Response(msgspec.json.encode(body), status, media_type=JSON_TYPE)


def phrase(status: int) -> str:
    """Return the usual words for a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown error"
