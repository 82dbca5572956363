"""What NVIDIA's harness itself says of a run, in the files of each round. Its exit status says little.

- A run that is INVALID ends with 0 in every round. One that is not accurate enough ends with an error in
  v2.0, which says so in its output and writes no summary (code/main.py); in v3.0 and later it ends with 0.
- A machine that it does not know, or a configuration that is not registered, is a warning and an exit status
  of 0 in v3.0 and later; in v2.0 the script that prints results then trips over the missing one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_mlperf.errors import Place, StatementError, UnmatchedError
from pytest_mlperf.harness import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_mlperf.errors import RunError
    from pytest_mlperf.harness.nvidia.editions import Edition
    from pytest_mlperf.harness.nvidia.names import Names
    from pytest_mlperf.matrix import Mode

PERFORMANCE_SUMMARY = "perf_harness_summary.json"
ACCURACY_SUMMARY = "accuracy_summary.json"
METADATA = "metadata.json"
STDOUT = "stdout.txt"
ACCURACY = "accuracy.txt"

# code/common/harness.py, code/main.py
_RESULT = re.compile(r"(?P<key>result_\S+): (?P<value>[-+0-9.eE]+), Result is (?P<verdict>VALID|INVALID)")
_ACCURACY = re.compile(
    r"Accuracy = (?P<accuracy>[0-9.]+), Threshold = (?P<threshold>[0-9.]+)\. "
    r"Accuracy test (?P<verdict>PASSED|FAILED)[.!]"
)
# scripts/print_harness_result.py of v2.0, when there is nothing to print
_NOTHING_TO_PRINT = "'NoneType' object is not iterable"
_NO_ACCURACY = "unsupported format string passed to NoneType.__format__"

# What metadata.json says, as JSON.
_VERDICTS: Mapping[Mode, Mapping[str, Literal["PASSED", "FAILED", "VALID", "INVALID"]]] = {
    "AccuracyOnly": {"true": "PASSED", "false": "FAILED"},
    "PerformanceOnly": {'"VALID"': "VALID", '"INVALID"': "INVALID"},
}

_WORKLOAD_SETTINGS = {"c": "custom", "t": "triton", "h": "hetero"}


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is read after a run.

    log_dir: of the whole run (LOG_DIR), which holds the logs of this case alone
    """

    names: Names
    mode: Mode
    edition: Edition
    log_dir: Path

    def read(self, failure: RunError | None) -> Statement:
        """Return what the harness says.

        failure: how its run failed, None where it ended with 0
        Raises it where it is no verdict, UnmatchedError where nothing ran, and StatementError where the
        harness does not say.
        """
        if self.edition.results == "metadata":
            return self._metadata(failure)
        return self._accuracy(failure) if self.mode == "AccuracyOnly" else self._performance(failure)

    @property
    def _logs(self) -> Path:
        return self.log_dir / self.names.log_tree

    def _performance(self, failure: RunError | None) -> Statement:
        text = self._summary(PERFORMANCE_SUMMARY)
        if failure is not None and (text is not None or _NOTHING_TO_PRINT not in str(failure)):
            raise failure
        if text is None:
            raise self._unmatched(self.log_dir / PERFORMANCE_SUMMARY) from failure
        match = _RESULT.fullmatch(text)
        if match is None:
            raise self._unknown(text, PERFORMANCE_SUMMARY)
        return Statement(verdict=_verdict(match), text=text)

    def _accuracy(self, failure: RunError | None) -> Statement:
        if failure is not None:
            return self._failed(failure)
        text = self._summary(ACCURACY_SUMMARY)
        if text is None:
            raise self._unmatched(self.log_dir / ACCURACY_SUMMARY)
        match = _ACCURACY.fullmatch(text)
        if match is None:
            raise self._unknown(text, ACCURACY_SUMMARY)
        return _accuracy(match)

    def _failed(self, failure: RunError) -> Statement:
        """Recover what v2.0 writes nowhere: it stops at the first accuracy that is too low."""
        said = f"{self._text(self.log_dir / STDOUT)}\n{failure}"
        found = [match for match in _ACCURACY.finditer(said) if match["verdict"] == "FAILED"]
        if found:
            return _accuracy(found[-1])
        if _NO_ACCURACY in said:
            raise StatementError(
                "the accuracy script printed nothing that the harness understands",
                place=self._place(self._logs / ACCURACY),
            ) from failure
        if _NOTHING_TO_PRINT not in str(failure):
            raise failure
        raise self._unmatched(self.log_dir / ACCURACY_SUMMARY) from failure

    def _metadata(self, failure: RunError | None) -> Statement:
        path = self._logs / METADATA
        content = self._json(path)
        if content is None:
            raise failure or self._unmatched(path)
        self._check_configuration(content)
        key = "accuracy_pass" if self.mode == "AccuracyOnly" else "result_validity"
        said = json.dumps(content.get(key))
        verdict = _VERDICTS[self.mode].get(said)
        if verdict is None:
            raise StatementError(f"{key}: the harness says {said}", place=self._place(path))
        if failure is not None and verdict != "FAILED":
            raise failure
        accuracy, threshold = self._compared(content) if self.mode == "AccuracyOnly" else (None, None)
        text = str(content.get("summary_string") or f"{key}: {said}")
        return Statement(verdict=verdict, text=text, accuracy=accuracy, threshold=threshold)

    def _compared(self, content: dict[str, Any]) -> tuple[float | None, float | None]:
        """Return accuracy and threshold; None where there are several, or none."""
        values = content.get("accuracy")
        if not isinstance(values, list) or len(values) != 1:
            return None, None
        alone = values[0] if isinstance(values[0], dict) else {}
        accuracy, threshold = alone.get("value"), alone.get("threshold")
        if not isinstance(accuracy, int | float) or not isinstance(threshold, int | float):
            raise StatementError(
                f"accuracy: found {json.dumps(values[0])}, allowed: an object with value and threshold",
                place=self._place(self._logs / METADATA),
            )
        return accuracy, threshold

    def _check_configuration(self, content: dict[str, Any]) -> None:
        """Refuse a result that is of another configuration."""
        found = content.get("config_name") or _config_name(content)
        if found is not None and found != self.names.config:
            raise StatementError(
                f"config_name: found {found}, expected {self.names.config}",
                place=self._place(self._logs / METADATA),
            )

    def _summary(self, name: str) -> str | None:
        """Return what a summary of the whole run says of this case, None where it says nothing."""
        content = self._json(self.log_dir / name)
        of_config = content.get(self.names.config) if content is not None else None
        text = of_config.get(self.names.benchmark) if isinstance(of_config, dict) else None
        return str(text) if text is not None else None

    def _unmatched(self, missing: Path) -> UnmatchedError:
        return UnmatchedError(
            f"the harness ran nothing: no result of {self.names.benchmark} {self.names.config}",
            place=self._place(missing),
            hint=f"does it know this machine? It says so in {self.log_dir.name}/{STDOUT}; "
            "see scripts/custom_systems of its tree",
        )

    def _unknown(self, text: str, name: str) -> StatementError:
        place = self._place(self.log_dir / name)
        return StatementError(f"{self.names.config}: the harness says '{text}'", place=place)

    def _json(self, path: Path) -> dict[str, Any] | None:
        """Return an object that a file holds, None where there is none."""
        if not path.exists():
            return None
        try:
            content = json.loads(self._text(path))
        except ValueError as error:
            raise StatementError(f"not JSON: {error}", place=self._place(path)) from error
        if not isinstance(content, dict):
            raise StatementError("not an object", place=self._place(path))
        return content

    def _text(self, path: Path) -> str:
        """Return what a file holds, nothing where there is none."""
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise StatementError(f"cannot be read: {error.strerror}", place=self._place(path)) from error

    def _place(self, path: Path) -> Place:
        return Place(path=str(path.relative_to(self.log_dir.parent)))


def _verdict(match: re.Match[str]) -> Literal["VALID", "INVALID"]:
    return "VALID" if match["verdict"] == "VALID" else "INVALID"


def _accuracy(match: re.Match[str]) -> Statement:
    return Statement(
        verdict="PASSED" if match["verdict"] == "PASSED" else "FAILED",
        text=match[0],
        accuracy=float(match["accuracy"]),
        threshold=float(match["threshold"]),
    )


def _config_name(content: dict[str, Any]) -> str | None:
    """Return the name of a configuration in v5.1, which only has a code for it: `cp990`, `tq999`."""
    code = re.fullmatch(r"([cth])([pq])(99[09])", str(content.get("workload_setting_code")))
    if code is None:
        return None
    level = {"990": "k_99", "999": "k_99_9"}[code[3]]
    power = {"p": "MaxP", "q": "MaxQ"}[code[2]]
    workload = f"{_WORKLOAD_SETTINGS[code[1]]}_{level}_{power}"
    return f"{content.get('system_name')}-{workload}-{content.get('scenario')}"
