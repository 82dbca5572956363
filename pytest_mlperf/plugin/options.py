"""The options and the ini keys. All begin with `mlperf`: a project may well have a `--sku` of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--mlperf-matrix": {
        "action": "append",
        "metavar": "FILE",
        "help": "matrix to take the cases from, instead of the shipped ones (repeatable)",
    },
    "--mlperf-power": {
        "action": "append",
        "choices": ("MaxP", "MaxQ"),
        "help": "power setting to plan (repeatable; default: MaxP)",
    },
    "--mlperf-output": {
        "metavar": "DIR",
        "help": "new or empty folder for logs, records and metrics (default: mlperf-results/<timestamp>)",
    },
    "--mlperf-plan": {
        "metavar": "FILE",
        "help": "write the plan as JSON (needs, estimated seconds, would run or skip and why); run nothing",
    },
    "--mlperf-strict": {
        "action": "store_true",
        "help": "hardware (or logs to replay) that selected cases need and lack is a failure, not a skip; "
        "and so is a history that does not answer for a baseline",
    },
    "--mlperf-match": {
        "choices": ("exact", "partial"),
        "help": "whether devices may differ from the SKU; reports say in what (default: see the matrix)",
    },
    "--mlperf-replay": {
        "metavar": "DIR",
        "help": "judge the logs that an earlier session, or NVIDIA's harness, left in DIR; run nothing",
    },
    "--mlperf-resume": {
        "metavar": "DIR",
        "help": "go on with the session that left its results in DIR: what it finished is not run again",
    },
    "--mlperf-attempts": {
        "metavar": "[NEED/]MAX",
        "help": "run cases up to MAX times, until NEED runs passed (default: 1, or see the matrix)",
    },
    "--mlperf-heartbeat": {
        "type": float,
        "default": 60.0,
        "metavar": "SECONDS",
        "help": "how often to say what runs where there is no terminal (default: 60; 0: never, nor on one)",
    },
    "--mlperf-nvidia": {
        "action": "append",
        "metavar": "ROUND=TREE",
        "help": "where NVIDIA's harness of a round is: a checkout of inference_results_<ROUND>, or its "
        "closed/NVIDIA; may be given for several rounds (models and data: see MLPERF_SCRATCH_PATH)",
    },
    "--mlperf-metrics": {
        "action": "append",
        "choices": ("parquet", "prometheus", "opentelemetry"),
        "help": "write the metrics also as metrics.parquet or metrics.prom, or send them to where the OTEL_* "
        "variables say (repeatable)",
    },
    "--mlperf-history": {
        "metavar": "FILE|URL",
        "help": "keep the records of all sessions in this SQLite file, or at this URL of PostgreSQL "
        "(default: ini key mlperf_history)",
    },
    "--mlperf-baseline": {
        "action": "append",
        "choices": ("published", "own"),
        "help": "hold measurements to the published figures of the round, or to earlier runs in the history "
        "(repeatable; default: neither)",
    },
    "--mlperf-report": {
        "choices": ("rates", "trend", "html"),
        "help": "say what the history says: rates, how often each case passed, of how many; trend, what "
        "each run measured beside the runs before it; html, both as a page with charts (in the file that "
        "--html names, or mlperf-history.html); run nothing",
    },
    "--mlperf-sku": {
        "action": "append",
        "metavar": "SKU",
        "help": "report only what ran for this SKU (repeatable; not --sku: other plugins may have that)",
    },
    "--mlperf-benchmark": {
        "action": "append",
        "metavar": "NAME",
        "help": "report only this benchmark (repeatable)",
    },
    "--mlperf-import": {
        "action": "append",
        "metavar": "DIR",
        "help": "add the sessions whose results are in or below DIR, or a records.jsonl, to the history "
        "(repeatable); run nothing",
    },
    "--mlperf-merge": {
        "nargs": "+",
        "metavar": "DIR",
        "help": "report the sessions whose results are in or below these folders as one (HTML, JUnit, "
        "metrics.csv); run nothing",
    },
    "--mlperf-doctor": {
        "nargs": "?",
        "const": "text",
        "choices": ("text", "json"),
        "help": "say what this machine is, which SKU it matches, and which cases would run; run nothing",
    },
    "--mlperf-leases": {
        "action": "store_true",
        "help": "list who holds which device of this machine, since when and for which case; run nothing",
    },
    "--mlperf-results": {
        "metavar": "TREE",
        "help": "audit this submission tree: suites/test_audit.py judges each of its results; runs nothing",
    },
    "--mlperf-round": {
        "metavar": "ROUND",
        "help": "round by whose rules --mlperf-results are judged (default: by the seeds in their logs)",
    },
    "--mlperf-level": {
        "choices": ("official", "strict"),
        "default": "official",
        "help": "reject what the round's own checker rejected, or what the rules forbid (default: official)",
    },
    "--mlperf-export": {
        "metavar": "DIR",
        "help": "new or empty folder for a submission tree of what passes; what it lacks is listed",
    },
    "--mlperf-submitter": {
        "metavar": "NAME",
        "help": "whose submission it is: the name of the submitter's folder in the tree",
    },
    "--mlperf-division": {
        "choices": ("closed", "open"),
        "help": "division of the submission (default: closed)",
    },
}


def declare(parser: pytest.Parser) -> None:
    """Declare the options and the ini keys."""
    group = parser.getgroup("mlperf", "MLPerf conformance")
    for name, attributes in _OPTIONS.items():
        group.addoption(name, **attributes)
    parser.addini(
        "mlperf_matrices",
        "matrix files, relative to the rootdir, with wildcards (default: matrices/*.yaml)",
        type="args",
        default=["matrices/*.yaml"],
    )
    parser.addini("mlperf_history", "as --mlperf-history; a file is relative to the rootdir", default="")
