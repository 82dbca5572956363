"""Cases under xdist: what starts when, by `packing`, instead of as the tests come.

A worker of xdist starts a test only once it knows what comes next, so a second test is always committed
behind the one that runs. Therefore each worker has one more item, the barrier: the controller sends a case
with the barrier behind it, the case starts at once, and the worker is free for whatever is best when it has
ended. The barrier is added after the worker has told its collection, so nobody counts or sees it.

Which worker runs a case means nothing, and no device is named here.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScheduling

from pytest_mlperf.packing import AT_ONCE, Need, Packing, order
from pytest_mlperf.plugin.nodeids import has_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

_LARGEST_BATCH = 16
"""Of tests that end at once, and are sent together: more than this saves nothing."""
_BATCHES_A_WORKER = 4
"""At least: that plain tests end at once is only assumed, and they should be shared out evenly."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Demand:
    """What the items ask of the machine.

    devices:  of the machine
    needs:    by node id, of those items that are cases; all others need nothing, and share the host
    """

    devices: int
    needs: Mapping[str, Need]


class CaseScheduling(LoadScheduling):  # type: ignore[misc]  # xdist publishes no types
    """Packs cases on the devices; is xdist's own `--dist load` in a session without cases."""

    def __init__(self, config: pytest.Config, log: Producer, *, demand: Callable[[], Demand]) -> None:
        """Ask for the `demand` once: when the first workers have collected, and there are cases."""
        super().__init__(config, log)
        self._demand = demand
        self._packing: Packing | None = None
        self._nodeids: list[str] = []
        self._barrier = 0
        self._batch = 1

    @property
    def tests_finished(self) -> bool:
        """Whether all tests have run."""
        return bool(super().tests_finished) if self._packing is None else self._packing.is_over

    @property
    def has_pending(self) -> bool:
        """Whether tests wait or run."""
        return bool(super().has_pending) if self._packing is None else not self._packing.is_over

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Take what a worker collected; one that replaces another and collects otherwise gets no case."""
        super().add_node_collection(node, collection)
        if self._packing is not None and node not in self.node2collection:
            node.shutdown()

    def schedule(self) -> None:
        """Let workers that have just collected begin."""
        if self.collection is None:
            self._pack()
        if self._packing is None:
            super().schedule()
        else:
            self._start(self._packing)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Take note that a worker has ended a test, or passed its barrier."""
        if self._packing is not None and item_index != self._barrier:
            self._packing.end(item_index)
        super().mark_test_complete(node, item_index, duration)

    def mark_test_pending(self, item: str) -> None:
        """Run a test again: another plugin asks for it when a worker died."""
        if self._packing is None:
            super().mark_test_pending(item)
            return
        self._packing.put_back(self._nodeids.index(item))
        self._start(self._packing)

    def check_schedule(self, node: WorkerController, duration: float = 0) -> None:
        """Start what may start, now that a worker has less to do."""
        if self._packing is None:
            super().check_schedule(node, duration)
        else:
            self._start(self._packing)

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget a worker that has ended or died, and return the test that it died of."""
        if self._packing is None:
            crashed: str | None = super().remove_node(node)
            return crashed
        pending = self.node2pending.pop(node)
        tests = [index for index in pending if index != self._barrier]
        for index in tests:
            self._packing.end(index)
        # What stands behind a barrier was not begun.
        begun = pending[:1] == tests[:1] and bool(tests)
        for index in tests[begun:]:
            self._packing.put_back(index)
        self._start(self._packing)
        return self._nodeids[tests[0]] if begun else None

    def _pack(self) -> None:
        collections = list(self.node2collection.values())
        collection = collections[0]
        # xdist reports collections that differ.
        if not has_cases(collection) or any(other != collection for other in collections):
            return
        demand = self._demand()
        needs = [demand.needs.get(nodeid, AT_ONCE) for nodeid in collection]
        in_order = order(needs, devices=demand.devices, workers=len(self.nodes))
        self._packing = Packing(needs, devices=demand.devices, order=in_order)
        self.collection = self._nodeids = collection
        self._barrier = len(collection)
        self._batch = max(1, min(_LARGEST_BATCH, len(collection) // (_BATCHES_A_WORKER * len(self.nodes))))

    def _start(self, packing: Packing) -> None:
        now_s = monotonic()
        for node in self.nodes:
            if not self._is_idle(node):
                continue
            batch = packing.start(now_s, at_most=self._batch)
            if not batch:
                return
            self.node2pending[node] += [*batch, self._barrier]
            # A worker that died an instant ago: its end is reported next, and the batch is put back then.
            with suppress(OSError):
                node.send_runtest_some([*batch, self._barrier])

    def _is_idle(self, node: WorkerController) -> bool:
        collected = node in self.node2collection and not node.shutting_down
        return collected and set(self.node2pending[node]) <= {self._barrier}


class Barrier(pytest.Item):
    """Where a worker waits; it leaves no report, but for a fixture that fails after the last test."""

    def runtest(self) -> None:
        """Do nothing."""


class BarrierHooks:
    """What a worker does beside xdist's own plugin, where the controller packs."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Add the barrier, after xdist has told the controller what was collected.

        In a new list: pytest counts the old one afterwards.
        """
        if has_cases(item.nodeid for item in session.items):
            barrier = Barrier.from_parent(_shared_parent(session.items), name="end-of-worker")
            session.items = [*session.items, barrier]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Pass the barrier without a word."""
        if not isinstance(item, Barrier):
            return None
        if nextitem is None:
            _end_fixtures(item)
        return True


def _end_fixtures(barrier: Barrier) -> None:
    """Tear down what is left, as after any last item.

    pytest does it at the end of the session at the latest; an error in it would kill the worker there.
    """
    runner = barrier.config.pluginmanager.getplugin("runner")
    end = partial(runner.pytest_sessionfinish, session=barrier.session)
    call: pytest.CallInfo[None] = pytest.CallInfo.from_call(end, when="teardown")
    if call.excinfo is not None:
        report = barrier.ihook.pytest_runtest_makereport(item=barrier, call=call)
        barrier.ihook.pytest_runtest_logreport(report=report)


def _shared_parent(items: Sequence[pytest.Item]) -> pytest.Collector:
    """Return the innermost collector that holds all items.

    Fixtures of this scope and wider ones live on while a worker waits at the barrier. Narrower ones end
    there, such as those of a module where items come from several: pytest ends what the next item is
    outside of.
    """
    shared: pytest.Collector = items[0].session
    chains = [parent.listchain() for parent in {item.parent for item in items} if parent]
    for levels in zip(*chains, strict=False):
        if len(set(levels)) > 1 or not isinstance(levels[0], pytest.Collector):
            break
        shared = levels[0]
    return shared
