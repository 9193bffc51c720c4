"""One call at a time, and a clear answer where moto cannot give AWS's.

moto answers what it does not implement, and every mistake of its own, with HTTP 500 and a page of
HTML. An SDK takes that for a passing fault of AWS and tries again, so a test would wait and then
report the wrong thing. Here both are answered with a status that nobody retries.
"""

import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any
from xml.sax.saxutils import escape

from moto.core.responses import ActionResult, BaseResponse

from .errors import AwsError
from .patching import patch

# AWS carries out each call on one resource as a whole. moto's threads would interleave inside a
# call: two authorizations of one rule could both pass the check for duplicates.
_one_call_at_a_time = threading.RLock()

UNIMPLEMENTED = "LocalAwsUnimplemented"
BROKEN = "LocalAwsBroken"


def install() -> None:
    """Serializes calls and answers what moto lacks with HTTP 400."""

    @patch(BaseResponse)
    def call_action(original: Callable[..., Any], self: Any) -> Any:
        with _one_call_at_a_time:
            try:
                return original(self)
            except NotImplementedError as error:
                fault = AwsError(UNIMPLEMENTED, f"the local AWS does not implement this: {error}")
            except Exception as error:
                traceback.print_exc(file=sys.stderr)
                fault = AwsError(BROKEN, f"the local AWS failed on {self._get_action()}: {error!r}")
            status, headers, body = self.serialized(ActionResult(fault))
            headers["status"] = str(status)
            return status, headers, body


def guard(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """A WSGI application that answers 400 where the given one raises, as for a service it cannot load."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            return application(environ, start_response)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            message = escape(f"the local AWS does not serve {environ.get('PATH_INFO')}: {error!r}")
            body = (
                "<ErrorResponse><Error><Type>Sender</Type>"
                f"<Code>{UNIMPLEMENTED}</Code><Message>{message}</Message></Error></ErrorResponse>"
            ).encode()
            start_response(
                "400 Bad Request",
                [
                    ("Content-Type", "text/xml"),
                    ("Content-Length", str(len(body))),
                    ("x-amzn-errortype", UNIMPLEMENTED),
                ],
                sys.exc_info(),
            )
            return [body]

    return guarded
