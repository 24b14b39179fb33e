"""What the errors of the service tell programs."""

from typing import TypeVar, cast

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

_M = TypeVar("_M", bound=Message)


def reason(error: grpc.aio.AioRpcError) -> str:
    """Returns the reason of an error, such as `USER_NOT_FOUND`, which is stable; `""` if it has none."""
    return str(_detail(error, ErrorInfo()).reason)


def invalid_fields(error: grpc.aio.AioRpcError) -> list[str]:
    """Returns the paths of the fields that were wrong; none if the call failed for another reason."""
    return [violation.field for violation in _detail(error, BadRequest()).field_violations]


def _detail(error: grpc.aio.AioRpcError, wanted: _M) -> _M:
    """Returns the detail of the kind of `wanted`; an empty one if there is none."""
    # An error has what is read of a call, though its type does not say so.
    status = rpc_status.from_call(cast("grpc.Call", error))
    for detail in status.details if status is not None else ():
        if detail.Unpack(wanted):
            break
    return wanted
