"""Calls every RPC of a live service, and prints what comes back, as examples/tour.txt has it.

    TOKEN=... [ADDRESS=localhost:50051] python examples/python/tour.py

TOKEN is an admin's. The users that it creates are deleted again, also when a step fails.
"""

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import aclosing
from typing import TypeVar

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from user_service_client import UserClient, invalid_fields, reason
from user_service_client.user.v1.collaborative_edit_pb2 import (
    CollaborativeEditRequest,
    EditOperation,
    EditStep,
    OpenDocument,
)
from user_service_client.user.v1.upload_pb2 import (
    UPLOAD_FORMAT_CSV,
    UploadChunk,
    UploadHeader,
    UploadUserDataRequest,
    UploadUserDataResponse,
)
from user_service_client.user.v1.user_pb2 import User, UserProfile, UserRole
from user_service_client.user.v1.user_service_pb2 import (
    CHAT_MESSAGE_TYPE_JOIN,
    CHAT_MESSAGE_TYPE_JOINED,
    CHAT_MESSAGE_TYPE_TEXT,
    BatchGetUsersRequest,
    ChatMessage,
    CreateUserRequest,
    DeleteUserRequest,
    GetUserRequest,
    ListUsersPageRequest,
    ListUsersRequest,
    UpdateUserRequest,
)
from user_service_client.user.v1.watch_pb2 import (
    WATCH_EVENT_TYPE_CREATED,
    WATCH_EVENT_TYPE_HEARTBEAT,
    WATCH_EVENT_TYPE_UPDATED,
    WatchUsersRequest,
)

RUN = str(uuid.uuid4())
"""Tells this run's e-mail addresses and rooms from those of others."""

T = TypeVar("T")


class Tour:
    """The steps, one for each RPC."""

    def __init__(self, client: UserClient) -> None:
        self.client = client
        self.stub = client.stub
        # The names that ids are printed as, so that every run prints the same: those of this run's users, in order of
        # creation.
        self.labels: dict[str, str] = {}

    async def create_user(self) -> None:
        request = CreateUserRequest(
            request_id=str(uuid.uuid4()),
            email=email("ada"),
            name="Ada Lovelace",
            tags=["mathematics"],
            metadata={"team": "engines"},
            phone="+442079460000",
        )
        created = await self.stub.CreateUser(request)
        say(self.describe(created.user))
        again = await self.stub.CreateUser(request)
        say(f"the same request_id again: {self.label(again.user.id)}")

    async def get_user(self) -> None:
        got = await self.stub.GetUser(GetUserRequest(id=self.first))
        say(self.describe(got.user))
        await fails("nobody", self.stub.GetUser(GetUserRequest(id="nobody")))
        await fails("no id", self.stub.GetUser(GetUserRequest()))

    async def create_users(self) -> None:
        names = ["Grace Hopper", "Alan Turing", "Zoë Ωmega"]
        users = [CreateUserRequest(name=name, email=email(f"user{index}")) for index, name in enumerate(names)]
        created = await self.client.create_all(users)
        say(f"{created.created_count} users: {self.list(created.user_ids)}")
        await fails("the same e-mail addresses again", self.client.create_all(users))
        cut = self.stub.CreateUsers(iter(users[:2]), metadata=(("x-expected-count", "3"),))
        await fails("2 users of 3", cut)

    async def batch_get_users(self) -> None:
        batch = await self.stub.BatchGetUsers(BatchGetUsersRequest(ids=[*self.labels, "nobody"]))
        say(f"found {self.list(user.id for user in batch.users)}, missing {' '.join(batch.missing_ids)}")

    async def list_users(self) -> None:
        found: list[str] = []
        page_token: str | bytes | None = ""
        while page_token is not None:
            page = self.stub.ListUsers(ListUsersRequest(page_size=3, page_token=str(page_token)))
            found += [user.id async for user in page]
            page_token = dict(await page.trailing_metadata()).get("x-next-page-token")
        say(f"by pages: {self.ours(found)}")
        everybody = self.stub.ListUsers(ListUsersRequest(stream_all=True))
        say(f"in one stream: {self.ours([user.id async for user in everybody])}")

    async def list_users_page(self) -> None:
        say(f"by pages: {self.ours([user.id async for user in self.client.all_users(page_size=3)])}")
        await fails("a forged token", self.stub.ListUsersPage(ListUsersPageRequest(page_token="forged")))

    async def update_user(self) -> None:
        etag = (await self.stub.GetUser(GetUserRequest(id=self.first))).user.etag
        change = UpdateUserRequest(
            user=User(id=self.first, etag=etag, profile=UserProfile(bio="Wrote the first program.")),
            update_mask=FieldMask(paths=["profile.bio"]),
        )
        user = (await self.stub.UpdateUser(change)).user
        say(f"bio: {user.profile.bio}; {'the same' if user.etag == etag else 'another'} etag")
        await fails("the etag of before", self.stub.UpdateUser(change))

    async def upload_user_data(self) -> None:
        emails = [email("edsger"), email("barbara")]
        rows = ["email,name", *(f"{each},Imported" for each in emails), "nobody,Nobody", ""]
        file = "\n".join(rows).encode()
        header = UploadHeader(
            upload_id=str(uuid.uuid4()),
            format=UPLOAD_FORMAT_CSV,
            size_bytes=len(file),
            sha256=hashlib.sha256(file).digest(),
        )

        def send(data: bytes) -> Awaitable[UploadUserDataResponse]:
            parts = [UploadUserDataRequest(header=header), UploadUserDataRequest(chunk=UploadChunk(data=data))]
            return self.stub.UploadUserData(iter(parts))

        await fails("a file that lacks a byte", send(file[1:]))
        report = await send(file)
        async for user in self.stub.ListUsers(ListUsersRequest(stream_all=True)):
            if user.email in emails:
                self.label(user.id)
        say(f"{report.row_count} rows: {report.created_count} created, {report.failed_count} failed")
        for failure in report.failures:
            say(f"line {failure.line}: {failure.field} {failure.reason}")
        say(f"the same upload_id again: {(await send(file)).created_count} created")

    async def chat(self) -> None:
        timestamp = Timestamp(seconds=0)
        talk = [ChatMessage(message=message, timestamp=timestamp) for message in ("hello", "goodbye")]
        async for answer in self.stub.Chat(iter(talk)):
            copied = "copied" if answer.timestamp == timestamp else "another"
            say(f"{answer.user_id}: {answer.message}, timestamp {copied}")
        room = f"tour {RUN}"
        messages = [
            ChatMessage(room=room, type=CHAT_MESSAGE_TYPE_JOIN),
            ChatMessage(room=room, message="is anybody here?"),
            ChatMessage(room=room, message="only me"),
        ]
        async for event in self.stub.Chat(iter(messages)):
            if event.type == CHAT_MESSAGE_TYPE_JOINED:
                say("joined the room")
            elif event.type == CHAT_MESSAGE_TYPE_TEXT:
                say(f"#{event.sequence}: {event.message}")

    async def collaborative_edit(self) -> None:
        opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def edit() -> AsyncIterator[CollaborativeEditRequest]:
            yield CollaborativeEditRequest(open=OpenDocument(user_id=self.first))
            operation_id, revision = str(uuid.uuid4()), await opened
            steps = [EditStep(insert="✍️ ")]
            operation = EditOperation(operation_id=operation_id, base_revision=revision, steps=steps)
            yield CollaborativeEditRequest(operation=operation)

        base = 0
        async for event in self.stub.CollaborativeEdit(edit()):
            if event.HasField("snapshot"):
                base = event.snapshot.revision
                opened.set_result(base)
                say(f"snapshot: {event.snapshot.text}")
            elif event.HasField("operation"):
                say(f"operation: {event.operation.revision - base} revision later")
        got = await self.stub.GetUser(GetUserRequest(id=self.first))
        say(f"bio: {got.user.profile.bio}")

    async def watch_users(self) -> None:
        user_id = ""
        resume_token = ""
        async with aclosing(self.client.watch()) as events:
            async for event in events:
                resume_token = event.resume_token
                # The first event: whatever happens from now on, comes.
                if event.type == WATCH_EVENT_TYPE_HEARTBEAT and not user_id:
                    created = await self.stub.CreateUser(CreateUserRequest(email=email("watched"), name="Watched"))
                    user_id = created.user.id
                    self.label(user_id)
                if event.type == WATCH_EVENT_TYPE_CREATED and event.user_id == user_id:
                    break
        say(f"created: {self.label(user_id)}")
        await self.stub.UpdateUser(UpdateUserRequest(user=User(id=user_id, name="Renamed")))
        async with aclosing(self.client.watch(WatchUsersRequest(resume_token=resume_token))) as events:
            async for event in events:
                if event.type == WATCH_EVENT_TYPE_UPDATED and event.user_id == user_id:
                    say(f"resumed, updated: {self.label(user_id)} {event.user.name}")
                    break

    async def delete_user(self) -> None:
        first = self.first
        say(f"{await self.clean_up()} users")
        await fails("again", self.stub.DeleteUser(DeleteUserRequest(id=first)))

    async def clean_up(self) -> int:
        """Deletes the users of this run, and returns how many there were."""
        ids = list(self.labels)
        for user_id in ids:
            await self.stub.DeleteUser(DeleteUserRequest(id=user_id))
            del self.labels[user_id]
        return len(ids)

    @property
    def first(self) -> str:
        return next(iter(self.labels))

    def label(self, user_id: str) -> str:
        return self.labels.setdefault(user_id, f"user-{len(self.labels) + 1}")

    def list(self, ids: Iterable[str]) -> str:
        return " ".join(self.label(user_id) for user_id in ids)

    def ours(self, ids: Iterable[str]) -> str:
        """Lists those of the ids that are this run's: the service may have other users."""
        return self.list(user_id for user_id in ids if user_id in self.labels)

    def describe(self, user: User) -> str:
        person = f'{self.label(user.id)} {user.email.split(".")[0]} "{user.name}" {UserRole.Name(user.role)}'
        contact = user.WhichOneof("contact")
        reached = f"{contact} {getattr(user, contact)}" if contact else "no contact"
        return f"{person}, {' '.join(user.tags)}, team {user.metadata['team']}, {reached}"


def email(name: str) -> str:
    return f"{name}.{RUN}@example.com"


def say(line: str) -> None:
    print(f"  {line}")


async def fails(what: str, call: Awaitable[T]) -> None:
    """Prints how a call fails, which has to: its code, its reason, and the fields that are wrong."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        say(" ".join([f"{what}: {error.code().name}", reason(error), *invalid_fields(error)]))
    else:
        raise AssertionError(f"{what}: the call succeeded, and must not")


async def main() -> None:
    async with UserClient(os.environ.get("ADDRESS", "localhost:50051"), token=os.environ.get("TOKEN", "")) as client:
        tour = Tour(client)
        try:
            for step in (
                tour.create_user,
                tour.get_user,
                tour.create_users,
                tour.batch_get_users,
                tour.list_users,
                tour.list_users_page,
                tour.update_user,
                tour.upload_user_data,
                tour.chat,
                tour.collaborative_edit,
                tour.watch_users,
                tour.delete_user,
            ):
                print(step.__name__.title().replace("_", ""))
                await step()
        finally:
            await tour.clean_up()


if __name__ == "__main__":
    asyncio.run(main())
