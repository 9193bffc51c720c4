"""Starts the patched server: ``python -m tagwire_moto [--events-endpoint URL | --events-endpoint -]``.

It takes a port that the system chooses, on the loopback interface only, and says which in one JSON
line on its standard output. It ends when its standard input closes. See `hosted`.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("AWS_ACCESS_KEY_ID", "local")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "local")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import enforcement  # noqa: E402
import tagwire_moto  # noqa: E402
from hosted import announce, end_with_standard_input  # noqa: E402
from moto.ec2.models import ec2_backends  # noqa: E402
from moto.moto_server.werkzeug_app import (  # noqa: E402
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from tagwire_moto import access, control, faults, native_events  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402


def main() -> None:
    """Serves until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--events-endpoint",
        help="where EventBridge is; '-' for the first line of standard input, which lets both servers "
        "start at once; without it EC2 sends no events",
    )
    parser.add_argument("--account-id", default="123456789012")
    parser.add_argument("--region", default="us-east-1")
    options = parser.parse_args()

    tagwire_moto.install()
    # Builds the account's default network and image list, which the first call would wait for.
    ec2_backends[options.account_id][options.region]  # noqa: B018
    if options.events_endpoint == "-":
        options.events_endpoint = sys.stdin.buffer.readline().decode().strip()
    native_events.send_to(options.events_endpoint)
    end_with_standard_input()
    application = faults.guard(DomainDispatcherApplication(create_backend_app))
    if enforcement.is_on():
        application = access.guard(application, options.account_id, options.region, options.events_endpoint)
    application = control.serve(application, options.account_id, options.region)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    announce(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
