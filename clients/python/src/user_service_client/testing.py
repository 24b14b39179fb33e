"""Helps to test programs that use the client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import grpc

from ._interceptors import Token
from .client import UserClient
from .user.v1.user_service_pb2_grpc import UserServiceServicer, add_UserServiceServicer_to_server

if TYPE_CHECKING:

    class FakeUserService:
        """The base of fakes, which need have no other methods than the test calls."""
else:
    # The stubs' types demand all twelve.
    FakeUserService = UserServiceServicer


@asynccontextmanager
async def fake_service(fake: FakeUserService, *, token: Token | None = None) -> AsyncIterator[UserClient]:
    """Yields a client of a fake of the service, which is served on a free port until the block is left.

    The methods of the fake are async functions and generators.
    """
    server = grpc.aio.server()
    add_UserServiceServicer_to_server(cast(UserServiceServicer, fake), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with UserClient(f"127.0.0.1:{port}", token=token) as client:
            yield client
    finally:
        await server.stop(grace=None)
