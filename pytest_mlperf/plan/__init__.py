"""Which cases of the matrices are kept, in their order, and which are dropped and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pytest_mlperf.matrix import Case, Matrix, Power


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every case of the matrices: the kept ones in order, and the dropped ones by id with their reason."""

    cases: Mapping[str, Case]
    dropped: Mapping[str, str]

    @property
    def kept(self) -> tuple[Case, ...]:
        """The cases that are in the plan."""
        return tuple(case for case in self.cases.values() if case.id not in self.dropped)


def select(matrices: Iterable[Matrix], *, powers: Collection[Power]) -> Plan:
    """Return the plan for the power settings that are asked for."""
    cases = {case.id: case for matrix in matrices for case in matrix.cases}
    dropped = {
        case.id: f"power setting {case.power} is not asked for: --mlperf-power {case.power}"
        for case in cases.values()
        if case.power not in powers
    }
    return Plan(cases=cases, dropped=dropped)
