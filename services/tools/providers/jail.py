"""Started in front of an MCP server's command: takes away what it need not have, then becomes the command.

Run as a script by an isolated interpreter, so it uses the standard library only.
"""

import ctypes
import os
import resource
import signal
import sys

_SET_DEATH_SIGNAL = 1
_SET_NO_NEW_PRIVILEGES = 38
_DATA_BYTES = 4 << 30
_FILE_BYTES = 1 << 30
_OPEN_FILES = 1024


def limit() -> None:
    """Bounds for this process and all it starts; it dies with its parent and never gains rights."""
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, _DATA_BYTES),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        hard = resource.getrlimit(what)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, bound))
    os.umask(0o077)
    if sys.platform == "linux":
        system = ctypes.CDLL(None)
        system.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        system.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    limit()
    try:
        os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the command comes from the operator's own file
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")
