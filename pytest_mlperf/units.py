"""Numbers as people read them."""

from __future__ import annotations

_MINUTE_S = 60
_HOUR_S = 3600
_MANY = 1000
_EXACT_GIB = 10
_EXACT = 1e15
"""Whole numbers up to here are exact in a double."""


def format_duration(duration_s: float) -> str:
    """Return `2.5 s`, `3 min 20 s` or `2 h 5 min`."""
    if round(duration_s, 1) < _MINUTE_S:
        return f"{duration_s:.1f} s"
    whole = round(duration_s)
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"


def format_number(value: float) -> str:
    """Return a value with six significant digits and no exponent below 1e15: `98887.3`, `0.98814`."""
    if float(value).is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if abs(value) >= _MANY:
        return f"{value:.1f}"
    short = f"{value:.6g}"
    return f"{value:.12f}".rstrip("0") if "e" in short else short


def format_quantity(value: float, unit: str) -> str:
    """Return value and unit, nanoseconds as `136.9 us` or `7.051 ms`, and a mere number (unit 1) as such."""
    if unit == "1":
        return format_number(value)
    if unit != "ns":
        return f"{format_number(value)} {unit}"
    for factor, larger in ((1, "ns"), (1e3, "us"), (1e6, "ms")):
        if float(f"{value / factor:.4g}") < _MANY:
            return f"{value / factor:.4g} {larger}"
    return f"{format_number(value / 1e9) if value >= _MANY * 1e9 else f'{value / 1e9:.4g}'} s"


def format_gib(size_bytes: float) -> str:
    """Return a size in gibibytes, with a decimal below 10: `79 GiB`, `9.5 GiB`."""
    gib = size_bytes / 2**30
    return f"{gib:.1f} GiB" if gib < _EXACT_GIB and round(gib, 1) != round(gib) else f"{gib:.0f} GiB"
