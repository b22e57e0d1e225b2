"""Ports for what the tests start: those of one worker of a parallel run never meet those of another.

Below the ports that the system gives to clients, and each is handed out once in a long while: a port that was only
asked for, and is bound a second later, is not taken by somebody else meanwhile.
"""

import itertools
import os
import random
import socket

_FIRST, _EACH = 20_000, 3_000
# The number of this worker; 0 where the tests run one after another.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_begin = random.randrange(_EACH)
_offers = (_FIRST + WORKER % 4 * _EACH + (_begin + number) % _EACH for number in itertools.count())


def free_port() -> int:
    for port in _offers:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("unreachable")
