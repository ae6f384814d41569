"""Ports of 127.0.0.1 for processes that tests start."""

import itertools
import os
import random
import socket

# Below those that the system gives to outgoing connections (Linux: from 32768 on): one of these in between would take
# a port that is still to be listened on. Each process of a parallel run has a piece of its own.
_FIRST, _EACH, _PIECES = 20_000, 1_500, 8


def free_port() -> int:
    """A port that nobody listens on, and that no other call in this run gives, here or in a process beside it."""
    for port in itertools.islice(_ports, _EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port of 127.0.0.1")


def _piece() -> list[int]:
    number = int(os.environ.get("PYTEST_XDIST_WORKER", f"gw{_PIECES - 1}").removeprefix("gw")) % _PIECES
    first = _FIRST + number * _EACH
    # Another run beside this one would else try the same in the same order.
    return random.SystemRandom().sample(range(first, first + _EACH), _EACH)


_ports = itertools.cycle(_piece())
