"""Cases in the ids of test items: all that the controller of xdist knows of what its workers collected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# A parameter that ends as the id of a case does; older versions of xdist write a group behind it.
_CASE = re.compile(r"\[([^]]+-(?:AccuracyMode|PerformanceMode|TEST\d\d(?:-[AB])?|files))\](?:@[^]]+)?$")


def case_id(nodeid: str) -> str | None:
    """Return the id of the case that an item is of, None where it cannot be one."""
    match = _CASE.search(nodeid)
    return match[1] if match else None


def is_of_matrix(named: str) -> bool:
    """Return whether an id can be of a case of a matrix; those of submission trees have more endings."""
    return named.endswith(("-AccuracyMode", "-PerformanceMode"))


def has_cases(nodeids: Iterable[str], *, published: bool = False) -> bool:
    """Return whether cases are among the items: the controller and its workers must agree on it.

    published: whether there is a submission tree
    """
    ids = (named for nodeid in nodeids if (named := case_id(nodeid)))
    return any(published or is_of_matrix(named) for named in ids)
