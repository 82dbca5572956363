"""The markers that every session knows, and how those are told that are made of names."""

from __future__ import annotations

MARKERS = {
    "datacenter": "cases of a datacenter matrix",
    "edge": "cases of an edge matrix",
    "smoke": "cases of a smoke matrix: shortened, not submission-valid",
    "accuracy": "AccuracyOnly cases",
    "performance": "PerformanceOnly cases",
    "SingleStream": "cases of this LoadGen scenario",
    "MultiStream": "cases of this LoadGen scenario",
    "Server": "cases of this LoadGen scenario",
    "Offline": "cases of this LoadGen scenario",
    "Interactive": "cases of this LoadGen scenario",
    "compliance": "compliance tests of an audit",
    "files": "what stands around the runs of an audit",
    "closed": "results of this division in an audit",
    "open": "results of this division in an audit",
    "network": "results of this division in an audit",
}

OURS = "of this name"
"""How the descriptions of markers end that are made of names."""
