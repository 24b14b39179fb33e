import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from user_service_client import UserClient
from user_service_client.testing import FakeUserService, fake_service
from user_service_client.user.v1.user_pb2 import User
from user_service_client.user.v1.user_service_pb2 import (
    CreateUserRequest,
    CreateUserResponse,
    CreateUsersResponse,
    GetUserRequest,
    GetUserResponse,
    ListUsersPageRequest,
    ListUsersPageResponse,
    UpdateUserRequest,
    UpdateUserResponse,
)
from user_service_client.user.v1.watch_pb2 import WatchUsersRequest, WatchUsersResponse

Context = grpc.aio.ServicerContext[Any, Any]


class Fake(FakeUserService):
    """Fails as many calls as it is told to, and then answers with what the call looked like."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.attempts = 0
        self.request_ids: list[str] = []
        self.resumed: list[str] = []

    async def _fail(self, context: Context) -> None:
        self.attempts += 1
        if self.failures > 0:
            self.failures -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")

    # The methods are named as in the contract (N802).
    async def GetUser(self, request: GetUserRequest, context: Context) -> GetUserResponse:  # noqa: N802
        timeout = str(round(context.time_remaining()))
        token = str(dict(context.invocation_metadata() or ())["authorization"])
        return GetUserResponse(user=User(id=request.id, metadata={"timeout": timeout, "token": token}))

    async def CreateUser(self, request: CreateUserRequest, context: Context) -> CreateUserResponse:  # noqa: N802
        self.request_ids.append(request.request_id)
        await self._fail(context)
        return CreateUserResponse()

    async def CreateUsers(  # noqa: N802
        self, request_iterator: AsyncIterator[CreateUserRequest], context: Context
    ) -> CreateUsersResponse:
        self.request_ids.extend([request.request_id async for request in request_iterator])
        count = int(dict(context.invocation_metadata() or ())["x-expected-count"])
        return CreateUsersResponse(created_count=count)

    async def UpdateUser(self, request: UpdateUserRequest, context: Context) -> UpdateUserResponse:  # noqa: N802
        await self._fail(context)
        return UpdateUserResponse()

    async def ListUsersPage(self, request: ListUsersPageRequest, context: Context) -> ListUsersPageResponse:  # noqa: N802
        if request.page_token == "second":
            return ListUsersPageResponse(users=[User(id="3")])
        return ListUsersPageResponse(users=[User(id="1"), User(id="2")], next_page_token="second")

    async def WatchUsers(  # noqa: N802
        self, request: WatchUsersRequest, context: Context
    ) -> AsyncIterator[WatchUsersResponse]:
        self.resumed.append(request.resume_token)
        revision = len(self.resumed)
        yield WatchUsersResponse(revision=revision, resume_token=str(revision))
        if revision == 2:
            detail = any_pb2.Any()
            detail.Pack(ErrorInfo(reason="TOKEN_EXPIRED"))
            code = grpc.StatusCode.UNAUTHENTICATED
            status = rpc_status.to_status(Status(code=code.value[0], message="expired", details=[detail]))
            await context.abort(code, "expired", status.trailing_metadata)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")


def test_sends_token_and_default_deadline() -> None:
    async def run() -> None:
        async with fake_service(Fake(), token="secret") as client:
            got = await client.stub.GetUser(GetUserRequest(id="1"))
            assert got.user.metadata == {"timeout": "5", "token": "Bearer secret"}
            got = await client.stub.GetUser(GetUserRequest(id="1"), timeout=20)
            assert got.user.metadata["timeout"] == "20"

    asyncio.run(run())


def test_asks_for_token() -> None:
    async def token() -> str:
        return "fresh"

    async def run() -> None:
        async with fake_service(Fake(), token=token) as client:
            got = await client.stub.GetUser(GetUserRequest(id="1"))
            assert got.user.metadata["token"] == "Bearer fresh"

    asyncio.run(run())


def test_retries_creation_with_one_request_id() -> None:
    async def run() -> None:
        fake = Fake(failures=2)
        request = CreateUserRequest(email="ada@example.com")
        async with fake_service(fake) as client:
            await client.stub.CreateUser(request)
        assert len(fake.request_ids) == 3
        assert len(set(fake.request_ids)) == 1
        assert fake.request_ids[0]
        assert not request.request_id

    asyncio.run(run())


def test_never_retries_change() -> None:
    async def run() -> None:
        fake = Fake(failures=1)
        async with fake_service(fake) as client:
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await client.stub.UpdateUser(UpdateUserRequest())
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        assert fake.attempts == 1

    asyncio.run(run())


def test_creates_all_with_their_count() -> None:
    async def run() -> None:
        fake = Fake()
        users = [CreateUserRequest(email="a@b"), CreateUserRequest(email="c@d", request_id="mine")]
        async with fake_service(fake) as client:
            assert (await client.create_all(users)).created_count == 2
        assert fake.request_ids[0]
        assert fake.request_ids[1] == "mine"

    asyncio.run(run())


def test_lists_all_pages() -> None:
    async def run() -> None:
        async with fake_service(Fake()) as client:
            assert [user.id async for user in client.all_users(page_size=2)] == ["1", "2", "3"]

    asyncio.run(run())


async def _revisions(client: UserClient, count: int) -> list[int]:
    revisions = []
    async with aclosing(client.watch()) as events:
        async for event in events:
            revisions.append(event.revision)
            if len(revisions) == count:
                break
    return revisions


def test_resumes_watch() -> None:
    async def run() -> None:
        fake = Fake()
        async with fake_service(fake) as client:
            assert await _revisions(client, 3) == [1, 2, 3]
        assert fake.resumed == ["", "1", "2"]

    asyncio.run(run())
