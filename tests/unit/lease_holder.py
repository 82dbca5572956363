"""A program that asks for a lease, says what it got, and then does what it is told, line by line.

Arguments: the case, how many of the devices (`A,B,C`, or nothing), and `alone` for the host alone.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from pytest_mlperf.errors import HostError
from pytest_mlperf.placement.leases import Lease, Request, lease

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOTICE_AFTER_S = 0.2


def main() -> None:
    """Say `held` with the devices, and `left` when the lease has ended; notices are said as they come."""
    case, count, devices, *how = sys.argv[1:]
    # A program that a shell starts in the background would ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    named = tuple(devices.split(",")) if devices else ()
    request = Request(case=case, count=int(count), devices=named, exclusive="alone" in how)
    try:
        with lease(request, notice=_say, notice_after_s=NOTICE_AFTER_S) as got:
            _say("held", *got.devices)
            _obey(got)
        _say("left")
    except HostError as error:
        _say(f"HostError: {error}")
    except KeyboardInterrupt:
        _say("interrupted")
    except KeyError:
        _say("raised")
    sys.stdin.readline()


def _obey(got: Lease) -> None:
    orders: Mapping[str, Callable[[Lease], None]] = {
        "neighbours": _neighbours,
        "child": _child,
        "raise": _raise,
    }
    for line in sys.stdin:
        if line.strip() not in orders:
            return
        orders[line.strip()](got)


def _neighbours(got: Lease) -> None:
    _say(*got.neighbours())


def _child(got: Lease) -> None:
    """Start a child that keeps the lease until its input ends, as this program's does."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=(got.handle,))
    _say(str(child.pid))


def _raise(got: Lease) -> None:
    raise KeyError(got.devices)


def _say(*words: str) -> None:
    print(*words, flush=True)  # noqa: T201  it is asked to
