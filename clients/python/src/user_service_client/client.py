"""The client."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import grpc

from ._interceptors import Token, interceptors
from ._policy import EXPECTED_COUNT, SERVICE_CONFIG
from .errors import reason
from .user.v1.user_pb2 import User
from .user.v1.user_service_pb2 import CreateUserRequest, CreateUsersResponse, ListUsersPageRequest
from .user.v1.user_service_pb2_grpc import UserServiceStub
from .user.v1.watch_pb2 import WatchUsersRequest, WatchUsersResponse

if TYPE_CHECKING:
    from .user.v1.user_service_pb2_grpc import UserServiceAsyncStub

_TOKEN_EXPIRED: Final = "TOKEN_EXPIRED"
"""The reason of a call that its token did not outlast; one whose token has expired already fails with another one."""

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class UserClient:
    """A connection to the service, to be used with `async with`, or closed with `close()`.

    `stub` has the twelve methods of the contract. The client sees to what their calls need: the default deadline of
    the method unless the call has a `timeout`, the token, and retries of what is safe to send again, which includes
    creations, because each gets a `request_id` if it has none. Calls fail with `grpc.aio.AioRpcError`.
    """

    def __init__(
        self,
        address: str,
        *,
        token: Token | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """Makes a client of an address such as `localhost:50051`; it connects when it is first used.

        `token` is sent with each call: a string, or an async function that is asked at each call, and should cache.
        `credentials` secure the connection, which is in plain text without; `options` are those of a gRPC channel.
        """
        all_options = [
            ("grpc.service_config", SERVICE_CONFIG),
            # The contract decides, not a record of the name service.
            ("grpc.service_config_disable_resolution", 1),
            # Finds connections out that are broken without a word, while there are calls on them.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.http2.max_pings_without_data", 0),
            *options,
        ]
        chain = interceptors(token)
        self._channel = (
            grpc.aio.insecure_channel(address, all_options, interceptors=chain)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials, all_options, interceptors=chain)
        )
        self.stub: UserServiceAsyncStub = UserServiceStub(self._channel)

    async def __aenter__(self) -> "UserClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection. Calls that are open are cancelled."""
        await self._channel.close(None)

    async def create_all(self, users: Sequence[CreateUserRequest], timeout: float | None = None) -> CreateUsersResponse:
        """Creates all users, or none.

        Tells the service how many there are, so that a stream that is cut on its way, by whatever network, creates
        nobody and fails with DATA_LOSS.
        """
        return await self.stub.CreateUsers(iter(users), timeout=timeout, metadata=((EXPECTED_COUNT, str(len(users))),))

    async def all_users(self, page_size: int = 0) -> AsyncGenerator[User, None]:
        """Yields all users, oldest first, in pages of `page_size` (0: as many as the service likes).

        Users who are created or deleted meanwhile make no other appear twice or not at all.
        """
        request = ListUsersPageRequest(page_size=page_size)
        while True:
            page = await self.stub.ListUsersPage(request)
            for user in page.users:
                yield user
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def watch(self, request: WatchUsersRequest | None = None) -> AsyncGenerator[WatchUsersResponse, None]:
        """Yields what happens to users, and goes on by itself, on any replica.

        It goes on where a call broke off with UNAVAILABLE, or because its token expired. Nothing is missed, and what
        came last may come again, with the same revision. Wrap it in `contextlib.aclosing`, so that leaving the loop
        ends the call at once.
        """
        resumed = WatchUsersRequest()
        if request is not None:
            resumed.CopyFrom(request)
        pause = _FIRST_PAUSE
        while True:
            call = self.stub.WatchUsers(resumed)
            try:
                async for event in call:
                    resumed.resume_token = event.resume_token
                    pause = _FIRST_PAUSE
                    yield event
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE and reason(error) != _TOKEN_EXPIRED:
                    raise
            finally:
                call.cancel()
            # Up to twice the pause, so that watchers who were cut off together do not come back together.
            await asyncio.sleep(pause * random.uniform(1, 2))
            pause = min(2 * pause, _LONGEST_PAUSE)
