"""How a server lives with the process that starts it."""

import json
import os
import signal
import sys
import threading


def announce(port: int) -> None:
    """Tells the starting process where the server listens: one JSON line on standard output.

    What is printed later goes where the errors go, since nobody reads the pipe any more.
    """
    print(json.dumps({"port": port}), flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def end_with_standard_input() -> None:
    """Ends this process, and the group it leads, when standard input closes.

    The end of the pipe closes however the starting process ends, killed tests included, so no
    server and no function of one is left behind.
    """

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(0)

    threading.Thread(target=watch, daemon=True, name="standard-input").start()
