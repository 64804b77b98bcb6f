"""A server at the other end of Courier."""

from typing import Any

from stillhouse.launch.engines.addresses import parse_address
from stillhouse.launch.engines.called_server import CalledServer
from stillhouse.launch.engines.guard import data_only, import_courier
from stillhouse.workers.connection import Answer, Refused, ServerGone

# What a server that died, hangs, or is being started answers; the names of gRPC's codes.
_GONE = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED")


class CourierServer(CalledServer):
    """A `stillhouse.workers.connection.Server` whose methods are called by Courier.

    For several threads at once: a call lets go of Python's lock while it waits. After the server
    was restarted at its address the next call reaches it.

    Args:
        address: its host and port, such as `node1:18400`.
        timeout: seconds after which a call has failed.

    Raises:
        ValueError: if the address is not one, or Courier is not installed.
    """

    def __init__(self, address: str, *, timeout: float = 20.0) -> None:
        parse_address(address, "server")
        self.address = address
        courier = import_courier()
        # By default Courier would wait for a dead server for ever, and repeat calls by itself.
        self._client = courier.Client(address, wait_for_ready=False, call_timeout=timeout)

    def _call(self, method: str, *arguments: Any) -> Answer:
        call = getattr(self._client, method)
        try:
            with data_only():
                answer = call(*arguments)
        except ImportError as error:
            raise Refused(f"{self.address} is no stillhouse server ({error})") from error
        except Exception as error:
            # Courier's only class of errors, which has no public name.
            code = getattr(getattr(error, "code", None), "name", None)
            if code is None:
                raise
            reason = str(error).strip().splitlines()[-1]
            if code in _GONE:
                raise ServerGone(
                    f"no answer from the server at {self.address} ({reason})"
                ) from error
            if code == "NOT_FOUND" and reason.startswith("method "):  # As a KeyError has.
                raise Refused(f"{self.address} is no stillhouse server ({reason})") from error
            raise Refused(f"the server at {self.address} failed ({reason})") from error
        if not isinstance(answer, dict):
            raise Refused(f"{self.address} is no stillhouse server (it answers {answer!r:.80})")
        return answer
