"""Creates a user, and lists all. Usage: TOKEN=... python examples/quickstart.py [ADDRESS]"""

import asyncio
import os
import sys

import grpc

from user_service_client import UserClient, reason
from user_service_client.user.v1.user_service_pb2 import CreateUserRequest


async def main(address: str = "localhost:50051") -> None:
    async with UserClient(address, token=os.environ["TOKEN"]) as client:
        try:
            created = await client.stub.CreateUser(CreateUserRequest(email="ada@example.com", name="Ada"))
            print("created", created.user.id)
        except grpc.aio.AioRpcError as error:
            print("failed:", error.code().name, reason(error))
        async for user in client.all_users(page_size=100):
            print(user.id, user.name)


asyncio.run(main(*sys.argv[1:]))
