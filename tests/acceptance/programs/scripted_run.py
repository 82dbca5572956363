"""The program of the scripted harness: python scripted_run.py SCRIPT SCENARIO MODE LOG_DIR."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

_HEADLINES = {"Offline": "result_samples_per_second", "Server": "result_scheduled_samples_per_sec"}


def _samples_per_second(attempt: str) -> float:
    """Return what a test has chosen: a value for each attempt, or one for all."""
    values = os.environ.get("SCRIPTED_SAMPLES_PER_SECOND", "1234.5").split(",")
    number = int(attempt.removeprefix("attempt-")) if attempt.startswith("attempt-") else 1
    return float(values[(number - 1) % len(values)])


def main(script: str, scenario: str, mode: str, log_dir: Path) -> None:
    if script == "broken":
        sys.exit("the engine is missing: engines/bert.plan")
    if script == "slow":
        time.sleep(60)
    if script == "late":
        sys.stdout.write("half way\n")
        sys.stdout.flush()
        time.sleep(3)
    if script == "crash":
        # The worker of xdist (or pytest itself) that runs this case dies with it.
        os.kill(os.getppid(), signal.SIGKILL)
    if script == "timed":
        start = time.monotonic()
        time.sleep(0.5)
        (log_dir / "times.json").write_text(json.dumps([start, time.monotonic()]), encoding="utf-8")
    (log_dir / "devices.txt").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""), encoding="utf-8")
    # Attempts have folders of their own: of three, the second is good, and the first goes wrong.
    attempt = log_dir.parent.name
    if script == "shaky" and attempt == "attempt-1":
        sys.exit("the engine is warming up")
    valid = script != "bad" and (script not in ("flaky", "shaky") or attempt == "attempt-2")
    facts: dict[str, object] = {"effective_scenario": scenario, "effective_test_mode": mode}
    summary = ""
    if mode == "PerformanceOnly":
        facts |= {
            "effective_min_duration_ms": 600000,
            "result_validity": "VALID" if valid else "INVALID",
            _HEADLINES[scenario]: _samples_per_second(attempt),
            "result_99.90_percentile_latency_ns": 1000,
        }
        summary = f"Scenario : {scenario}\nMode     : {mode}\nSamples per second: 1234.5\n"
        summary += f"Result is : {'VALID' if valid else 'INVALID'}\n"
        summary += f"  Min duration satisfied : {'Yes' if valid else 'NO'}\n"
        if not valid:
            summary += (
                "Recommendations:\n * Increase expected QPS so the loadgen pre-generates a larger query.\n"
            )
    else:
        log = '[\n{ "seq_id" : 0, "qsl_idx" : 0, "data" : "00" }\n]\n'
        (log_dir / "mlperf_log_accuracy.json").write_text(log, encoding="utf-8")
        digest = hashlib.sha256(log.encode()).hexdigest()
        quality = 90.0 if valid else 80.5
        text = f"accuracy={quality}%, good=1, total=2\nhash={digest}\n"
        (log_dir / "accuracy.txt").write_text(text, encoding="utf-8")
    summary += "\nNo warnings encountered during test.\n\nNo errors encountered during test.\n"
    (log_dir / "mlperf_log_summary.txt").write_text(summary, encoding="utf-8")
    metadata = {"is_error": False, "is_warning": False}
    lines = [json.dumps({"key": k, "value": v, "metadata": metadata}) for k, v in facts.items()]
    text = "".join(f":::MLLOG {line}\n" for line in lines)
    (log_dir / "mlperf_log_detail.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
