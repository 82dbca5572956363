"""What a measured case is compared with, and held to where that is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from pytest_mlperf import published
from pytest_mlperf.hardware import skus
from pytest_mlperf.hardware.platforms import platform_of
from pytest_mlperf.matrix import Case
from pytest_mlperf.verdict.baseline import LEAST_VALUES, baseline, compare, hold, rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pytest_mlperf.errors import Place
    from pytest_mlperf.hardware import Inventory, Sku
    from pytest_mlperf.published import Figure
    from pytest_mlperf.record import Record
    from pytest_mlperf.verdict import Finding
    from pytest_mlperf.verdict.baseline import Baseline, Comparison, Kind


class Recall(Protocol):
    """Remembers earlier runs."""

    def __call__(self, record: Record, platform: str | None) -> Baseline:
        """Return the baseline of a record's first measurement; one without values where none is found out.

        platform: what its devices run on
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Standards:
    """The baselines of a session.

    held:    the kinds that cases are held to; with the published figures they are compared all the same
    recall:  of own baselines; None where they are not asked for
    strict:  one that cannot be found out fails a case
    """

    held: Collection[Kind] = ()
    recall: Recall | None = None
    strict: bool = False

    def compare(self, record: Record, sku: Sku, inventory: Inventory) -> Iterator[Comparison]:
        """Compare what was measured of a case, as far as there is something to compare it with."""
        if record.case.mode != "PerformanceOnly" or not record.measurements:
            return
        observed = record.measurements[0].value
        known = of_published(record, sku)
        if known.n or "published" in self.held:
            yield compare(known, observed)
        if self.recall is not None:
            platform = platform_of(asdict(inventory), record.devices)
            yield compare(self.recall(record, platform), observed)

    def hold(self, comparisons: Collection[Comparison], place: Place | None) -> tuple[Finding, ...]:
        """Hold a measurement to the baselines that it is to be held to.

        place: where it stands
        """
        held = (one for one in comparisons if one.baseline.kind in self.held)
        return tuple(hold(one, place, strict=self.strict) for one in held)

    def changed(self, record: Record) -> str | None:
        """Return why a verdict of an earlier session does not stand: it was held to others, or to none."""
        if record.case.mode != "PerformanceOnly" or not record.measurements:
            return None
        earlier = {finding.rule for finding in record.findings} & {rule("published"), rule("own")}
        now = {rule(kind) for kind in self.held}
        if earlier != now:
            words = (", ".join(sorted(rules)) or "no baseline" for rules in (earlier, now))
            return "held to was {}, is {}".format(*words)
        held = (one.baseline for one in record.comparisons if one.baseline.kind in self.held)
        missed = self.strict and any(base.problem is not None for base in held)
        return "its baseline could not be found out" if missed else None


def of_published(record: Record, sku: Sku) -> Baseline:
    """Return what was published of a record's first measurement: on as many accelerators, else on others."""
    metric, least = record.measurements[0], LEAST_VALUES["published"]
    same = published.of_the_same(record.case, sku, metric.name) if isinstance(record.case, Case) else ()
    found = tuple(figure for figure in same if _has_limit_of(sku, figure))
    alike = tuple(figure for figure in found if figure.count == sku.count)
    # A latency is of one query: the count of accelerators cannot be divided out of it.
    divided = metric.unit != "ns" and len(alike) < least and (len(found) >= least or not alike)
    figures = found if divided else alike
    return baseline(
        "published",
        metric=(metric.name, metric.unit),
        values=[figure.value * sku.count / figure.count for figure in figures],
        source=f"MLPerf Inference {record.case.round}, closed division, {sku.accelerator}",
        caveats=(*_per_accelerator(figures, sku), *_power_limits(figures, sku), *record.labels),
    )


def _per_accelerator(figures: Collection[Figure], sku: Sku) -> Iterator[str]:
    counts = sorted({figure.count for figure in figures})
    if counts not in ([], [sku.count]):
        words = ", ".join(map(str, counts))
        yield f"per accelerator: figures of systems with {words} accelerators, this one has {sku.count}"


def _power_limits_w(sku: Sku) -> set[float]:
    """Return the power limits of all SKUs whose accelerators have this name."""
    named = (other for other in skus.load().values() if other.accelerator == sku.accelerator)
    return {other.power_limit_w for other in named if other.power_limit_w is not None}


def _has_limit_of(sku: Sku, figure: Figure) -> bool:
    """Return whether a system has the power limit of a SKU; an unknown one is taken to be the highest."""
    return (figure.power_limit_w or max(_power_limits_w(sku), default=None)) == sku.power_limit_w


def _power_limits(figures: Collection[Figure], sku: Sku) -> Iterator[str]:
    if len(_power_limits_w(sku)) > 1 and any(figure.power_limit_w is None for figure in figures):
        yield f"power limit: {sku.power_limit_w:g} W here, of some published systems it is not known"
