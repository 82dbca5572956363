"""Many processes that ask for the same devices, some of which are killed: never two holders, and no end.

Takes some seconds; `MLPERF_STRESS_S=600` makes it that long, and `MLPERF_STRESS_SEED` another run.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import StartPython

PROGRAM = "from tests.unit.lease_stress import main\nmain()"
DURATION_S = float(os.environ.get("MLPERF_STRESS_S", "12"))
SEED = os.environ.get("MLPERF_STRESS_SEED", "1")
# A busy machine makes some tens of leases a second at the least, and a case of its own wait for seconds.
LEASES_PER_S = 10
LONGEST_S = 20.0


def test_there_are_never_two_holders_and_always_a_next(start_python: StartPython, tmp_path: Path) -> None:
    program = start_python(PROGRAM, tmp_path, DURATION_S, SEED)
    text, complaints = program.communicate(timeout=DURATION_S + 90)
    assert complaints == ""
    outcome = json.loads(text)
    assert outcome["collisions"] == []
    assert outcome["left"] == []
    assert outcome["failed"] == []
    assert outcome["stuck"] == 0
    assert sum(outcome["leases"].values()) > DURATION_S * LEASES_PER_S
    assert set(outcome["leases"]) == {"0", "1", "2", "4", "8", "alone"}
    assert outcome["fewest"] > 0
    assert outcome["killed_holding"] > 0
    assert max(outcome["longest_s"].values()) < LONGEST_S
