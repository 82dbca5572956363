"""Submission trees: every result in one that exists, judged by the rules of its round.

Nothing is run. `layout` knows where things stand, `reading` reads them, `judging` holds one directory of
results to the rules, `auditing` a tree, `records` makes cases and records of it, `seeds` tell its round.
"""

from __future__ import annotations

from pytest_mlperf.submission.auditing import Tree, audit
from pytest_mlperf.submission.judging import AuditedResult
from pytest_mlperf.submission.layout import ScenarioFolder
from pytest_mlperf.submission.seeds import round_of

__all__ = ["AuditedResult", "ScenarioFolder", "Tree", "audit", "round_of"]
