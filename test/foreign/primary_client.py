"""Calls every RPC of the primary contract with grpcio, from stubs made of that contract alone.

Usage: primary_client.py ADDRESS TOKEN STUBS_DIRECTORY. Prints what it saw, as JSON.
"""

import json
import sys

import grpc

address, token, stubs = sys.argv[1:]
sys.path.insert(0, stubs)
from user.v1 import user_pb2, user_pb2_grpc  # noqa: E402 (the path to the stubs has to come first)

metadata = [("authorization", f"Bearer {token}")]
with grpc.insecure_channel(address) as channel:
    service = user_pb2_grpc.UserServiceStub(channel)
    requests = [user_pb2.CreateUserRequest(email=f"user{i}@example.com", name=f"User {i}") for i in range(3)]
    created = service.CreateUsers(iter(requests), metadata=metadata, timeout=10)
    got = service.GetUser(user_pb2.GetUserRequest(id=created.user_ids[1]), metadata=metadata, timeout=10)
    page = service.ListUsers(user_pb2.ListUsersRequest(page_size=2), metadata=metadata, timeout=10)
    names = [user.name for user in page]
    trailers = [key for key, _ in page.trailing_metadata()]
    messages = [user_pb2.ChatMessage(user_id="py", message=text) for text in ("one", "two")]
    answers = [answer.message for answer in service.Chat(iter(messages), metadata=metadata, timeout=10)]
    try:
        service.GetUser(user_pb2.GetUserRequest(id="nobody"), metadata=metadata, timeout=10)
        failure = None
    except grpc.RpcError as error:
        failure = [error.code().name, error.details()]
    print(
        json.dumps(
            {
                "created": created.created_count,
                "got": [got.user.email, got.user.name, user_pb2.UserRole.Name(got.user.role)],
                "listed": names,
                "continues": "x-next-page-token" in trailers,
                "answers": answers,
                "failure": failure,
            }
        )
    )
