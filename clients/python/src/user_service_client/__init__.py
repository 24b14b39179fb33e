"""Calls user.v1.UserService as its contract means it to be called: with its deadlines, its retries, and a token.

Messages are in `user_service_client.user.v1`, in the modules `user_pb2`, `user_service_pb2`, `watch_pb2`,
`upload_pb2` and `collaborative_edit_pb2`.
"""

from ._interceptors import Token
from .client import UserClient
from .errors import invalid_fields, reason

__all__ = ["Token", "UserClient", "invalid_fields", "reason"]
