"""What every call gets: the deadline of its method, the token, and, where it creates, a request id.

gRPC has an interceptor class for each of the four kinds of calls, of which an object can be only one.
"""

import uuid
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import grpc
from grpc.aio import ClientCallDetails, Metadata

from ._policy import DEFAULT_TIMEOUTS
from .user.v1.user_service_pb2 import CreateUserRequest

Token = str | Callable[[], Awaitable[str]]
"""A bearer token, or an async function that returns one."""


def interceptors(token: Token | None) -> list[Any]:
    """Returns the interceptors of a channel whose calls carry `token`."""
    return [kind(token) for kind in (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)]


class _Prepare:
    def __init__(self, token: Token | None) -> None:
        self._token = token

    async def _details(self, details: ClientCallDetails) -> ClientCallDetails:
        """Adds to a call what its caller has not set."""
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        metadata = Metadata(*(details.metadata or ()))
        if self._token is not None and "authorization" not in metadata:
            token = self._token if isinstance(self._token, str) else await self._token()
            metadata.add("authorization", f"Bearer {token}")
        timeout = DEFAULT_TIMEOUTS.get(method) if details.timeout is None else details.timeout
        return ClientCallDetails(details.method, timeout, metadata, details.credentials, details.wait_for_ready)


def _identified(request: Any) -> Any:
    """Makes a creation safe to send again, which is why it may be retried. The caller's message is left as it is."""
    if not isinstance(request, CreateUserRequest) or request.request_id:
        return request
    copied = CreateUserRequest()
    copied.CopyFrom(request)
    copied.request_id = str(uuid.uuid4())
    return copied


async def _all_identified(requests: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[Any]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield _identified(request)
    else:
        for request in requests:
            yield _identified(request)


class _UnaryUnary(_Prepare, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]  # none at run time
    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(await self._details(client_call_details), _identified(request))


class _UnaryStream(_Prepare, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]  # none at run time
    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(await self._details(client_call_details), request)


class _StreamUnary(_Prepare, grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[type-arg]  # none at run time
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: ClientCallDetails, request_iterator: Any
    ) -> Any:
        return await continuation(await self._details(client_call_details), _all_identified(request_iterator))


class _StreamStream(_Prepare, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[type-arg]  # none at run time
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: ClientCallDetails, request_iterator: Any
    ) -> Any:
        return await continuation(await self._details(client_call_details), request_iterator)
