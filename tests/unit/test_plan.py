from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.matrix import Matrix
from pytest_mlperf.plan import select

if TYPE_CHECKING:
    from pytest_mlperf.matrix import Power
    from tests.unit.conftest import MakeCase


def _matrices(make_case: MakeCase) -> list[Matrix]:
    names = [("a", "MaxP"), ("b", "MaxQ"), ("c", "MaxP"), ("d", "MaxQ")]
    cases = [make_case(id=name, power=power) for name, power in names]
    return [
        Matrix(path="1.yaml", round="v2.0", category="edge", cases=tuple(cases[:3])),
        Matrix(path="2.yaml", round="v2.0", category="edge", cases=tuple(cases[3:])),
    ]


@pytest.mark.parametrize(
    ("powers", "kept", "dropped"),
    [
        pytest.param(["MaxP"], "ac", "bd", id="MaxP"),
        pytest.param(["MaxQ"], "bd", "ac", id="MaxQ"),
        pytest.param(["MaxQ", "MaxP"], "abcd", "", id="both"),
        pytest.param([], "", "abcd", id="none"),
    ],
)
def test_cases_are_kept_by_their_power_setting_in_order(
    powers: list[Power], kept: str, dropped: str, make_case: MakeCase
) -> None:
    plan = select(_matrices(make_case), powers=powers)
    assert "".join(plan.cases) == "abcd"
    assert "".join(case.id for case in plan.kept) == kept
    assert "".join(plan.dropped) == dropped


def test_a_dropped_case_says_how_to_get_it(make_case: MakeCase) -> None:
    plan = select(_matrices(make_case), powers=["MaxP"])
    assert plan.dropped["b"] == "power setting MaxQ is not asked for: --mlperf-power MaxQ"


def test_the_plan_of_nothing_is_empty() -> None:
    plan = select([], powers=["MaxP"])
    assert (plan.kept, plan.cases, plan.dropped) == ((), {}, {})
