"""Whether harnesses know the configurations that a matrix asks for: some pass over those that they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_mlperf.matrix import Registration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_mlperf.matrix import Vocabulary

_NAMED = 3
"""How many of many are named in a message."""

_Block = tuple[str | int, ...]


def unregistered(
    points: Mapping[tuple[Any, ...], _Block], vocabulary: Vocabulary
) -> Iterator[tuple[_Block, str]]:
    """Give the blocks with configurations that are not registered, and what is to be said of them.

    points: values on the axes, with the block that names them
    """
    found: dict[_Block, dict[str, None]] = {}
    for point, block in points.items():
        sku, benchmark, harness, accuracy, power, scenario, _ = point
        registered = vocabulary.harnesses[harness].registered
        wanted = Registration(
            system_id=vocabulary.system_ids[sku],
            benchmark=benchmark,
            harness=harness,
            accuracy=accuracy,
            power=power,
            scenario=scenario,
        )
        if registered is not None and wanted not in registered:
            found.setdefault(block, {})[" ".join(map(str, point[:-1]))] = None
    for block, words in found.items():
        more = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
        named = f"{', '.join(list(words)[:_NAMED])}{more}"
        yield block, f"no configuration is registered in {vocabulary.round.name} for {named}"
