"""Tell whether a machine holds MLPerf: a pytest plugin and conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_mlperf.version import __version__

if TYPE_CHECKING:
    from pytest_mlperf.submission import audit

__all__ = ["__version__", "audit"]


def __getattr__(name: str) -> Any:
    """Import what is rarely needed when it is asked for: pytest imports this package in every session."""
    if name != "audit":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from pytest_mlperf.submission import audit  # noqa: PLC0415  see above

    return audit
