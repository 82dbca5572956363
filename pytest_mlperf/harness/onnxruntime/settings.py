"""LoadGen's settings for one test: from its own configuration file, and from what that file cannot hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlperf_loadgen

from pytest_mlperf.errors import Place, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_mlperf.harness.onnxruntime.calibration import Targets
    from pytest_mlperf.harness.onnxruntime.specification import Specification

LEAST_QUERIES = {"SingleStream": 64, "MultiStream": 662, "Server": 700, "Offline": 1}
"""The least queries that can be VALID: what early stopping asks for, in Server with some to spare."""

SERVER_LATENCY_MS = 100

_EMBEDDED_THEN_USER = 1


def write_user_conf(specification: Specification, targets: Targets, *, sample_count: int) -> Path:
    """Write `user.conf` into the log folder and return its path. Raises RunError when it cannot."""
    path = specification.log_dir / "user.conf"
    lines = [f"{key} = {value:.12g}" for key, value in _lines(specification, targets, sample_count)]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        # LoadGen would not say a word about a folder that it cannot write to.
        raise RunError(f"cannot write: {error.strerror}", place=Place(path=str(path))) from error
    return path


def _lines(specification: Specification, targets: Targets, sample_count: int) -> Iterator[tuple[str, float]]:
    # Whole keys, because LoadGen's own entry for the benchmark and scenario would win over a wildcard;
    # blanks around the equals sign, because LoadGen ignores the line without them.
    scenario = specification.scenario
    prefix = f"{specification.model}.{scenario}"
    yield f"{specification.model}.*.performance_sample_count_override", sample_count
    yield f"{prefix}.min_query_count", specification.min_query_count or LEAST_QUERIES[scenario]
    if specification.min_duration_ms is not None:
        yield f"{prefix}.min_duration", specification.min_duration_ms
    if targets.qps is not None:
        yield f"{prefix}.target_qps", targets.qps
    if targets.expected_latency_ms is not None:
        yield f"{prefix}.target_latency", targets.expected_latency_ms
    if scenario == "Server":
        yield f"{prefix}.target_latency", specification.target_latency_ms or SERVER_LATENCY_MS
    if scenario == "MultiStream":
        yield f"{prefix}.samples_per_query", specification.samples_per_query


def load_settings(specification: Specification, user_conf: Path) -> Any:
    """Return LoadGen's TestSettings for this test. Once per process: LoadGen forgets its defaults after that.

    Raises RunError when LoadGen refuses the file.
    """
    settings = mlperf_loadgen.TestSettings()
    code = settings.FromConfig(
        str(user_conf), specification.model, specification.scenario, _EMBEDDED_THEN_USER
    )
    if code != 0:
        raise RunError(f"FromConfig: found return code {code}, allowed 0", place=Place(path=str(user_conf)))
    settings.scenario = getattr(mlperf_loadgen.TestScenario, specification.scenario)
    settings.mode = getattr(mlperf_loadgen.TestMode, specification.mode)
    # The file cannot hold seeds: LoadGen takes those from its built-in configuration alone.
    settings.qsl_rng_seed = specification.seeds.qsl
    settings.sample_index_rng_seed = specification.seeds.sample_index
    settings.schedule_rng_seed = specification.seeds.schedule
    return settings


def log_settings(log_dir: Path) -> Any:
    """Return LoadGen's LogSettings: all into the folder, without the trace, which grows with every query."""
    settings = mlperf_loadgen.LogSettings()
    settings.enable_trace = False
    settings.log_output.outdir = str(log_dir)
    settings.log_output.copy_summary_to_stdout = False
    settings.log_output.copy_detail_to_stdout = False
    return settings
