"""Comparisons with baselines in words: of a case, and of a session."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_args

from pytest_mlperf.verdict.baseline import Kind, rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_mlperf.record import Record
    from pytest_mlperf.verdict.baseline import Comparison


def told(comparison: Comparison) -> str:
    """Return a comparison with its caveats: `97 % of the median of 7 sessions (MAD 1.2 %)`."""
    caveats = comparison.baseline.caveats if comparison.baseline.n else ()
    return "; ".join([str(comparison), *caveats])


def summary(records: Iterable[Record]) -> Iterator[str]:
    """Give a line for each kind of baseline that cases were held to.

    `own baseline: 3 hold, 0 broken, 39 no baseline (fewer than 5 sessions)`
    """
    records = list(records)
    for kind in get_args(Kind):
        held = [record for record in records if any(f.rule == rule(kind) for f in record.findings)]
        words = Counter(f.word for record in held for f in record.findings if f.rule == rule(kind))
        if held:
            line = f"{rule(kind)}: {words['holds']} hold, {words['broken']} broken"
            yield f"{line}, {words['unknown']} no baseline{_why(held, kind)}"


def _why(records: list[Record], kind: Kind) -> str:
    of_kind = (one.baseline for record in records for one in record.comparisons if one.baseline.kind == kind)
    reasons = Counter(base.lack for base in of_kind if base.lack)
    if len(reasons) > 1:
        return f" ({'; '.join(f'{count}: {why}' for why, count in reasons.items())})"
    return "".join(f" ({why})" for why in reasons)
