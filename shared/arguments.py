"""What every service's command line takes, and how a process says that it will not start. Loads nothing else."""

import argparse


class Refused(Exception):
    """The process will not start like this; the message is for the operator."""


def listening(parser: argparse.ArgumentParser) -> None:
    """The options of everything that listens."""
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on")
    parser.add_argument("--config", help="configuration file (default ./tollway.yaml if present)")
    parser.add_argument("--data", help="folder for spool, embedded database and reports (default ./data)")
    parser.add_argument("--insecure", action="store_true", default=None, help="listen beyond loopback without any key")


def multiplying(parser: argparse.ArgumentParser) -> None:
    """The options of one service in several workers."""
    parser.add_argument("--workers", default="1", help="processes: a number, or auto = min(2 × cores + 1, 8)")
    parser.add_argument("--listener", type=int, help=argparse.SUPPRESS)
