"""Asks the service in this container whether it is ready: what the image's health check runs every few seconds.

It loads nothing but a socket, so that a busy machine has its answer in time and an idle one stays idle.
"""

import os
import socket
import sys

from shared.ports import PORTS

SECONDS = 8.0


def main() -> int:
    """0 when ready, 1 when not."""
    told = os.environ  # noqa: TID251 -- reading the settings costs more than the question
    port = told.get("TOLLWAY_PORT") or told.get("PORT") or PORTS.get(told.get("TOLLWAY_SERVICE", ""), 8080)
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=SECONDS) as connection:
            connection.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
            status = connection.makefile("rb").readline()
    except OSError:
        return 1
    return 0 if b" 200 " in status else 1


if __name__ == "__main__":
    sys.exit(main())
