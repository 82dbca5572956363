from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.errors import EvidenceError
from pytest_mlperf.harness.onnxruntime import score
from pytest_mlperf.harness.onnxruntime.tasks import Score

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.unit.loadgen.conftest import Write


class Four:
    """A task of four samples that only scores."""

    def score(self, responses: Mapping[int, bytes]) -> Score:
        if len(responses) != 4:
            raise ValueError("sample 3: response: found none")
        return Score(value=100.0, line="accuracy=100.000%")


def load(*_: str) -> Any:
    return Four()


def entry(index: int, data: str) -> dict[str, Any]:
    return {"seq_id": index, "qsl_idx": index, "data": data}


@pytest.fixture
def log(log_dir: Path) -> Path:
    return log_dir / "mlperf_log_accuracy.json"


def test_writes_the_line_and_the_checksum(write: Write, log: Path) -> None:
    log.write_text(json.dumps([entry(index, "0AFF") for index in range(4)]), encoding="utf-8")
    assert score.main([str(write())], load) == 0
    checksum = hashlib.sha256(log.read_bytes()).hexdigest()
    text = log.with_name("accuracy.txt").read_text(encoding="utf-8")
    assert text == f"accuracy=100.000%\nhash={checksum}\n"
    assert sorted(path.name for path in log.parent.iterdir()) == ["accuracy.txt", log.name]


def test_the_first_of_several_responses_counts(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_text(json.dumps([entry(7, "01"), entry(8, "02"), entry(7, "01")]), encoding="utf-8")
    assert score.read_responses(log)[0] == {7: b"\x01", 8: b"\x02"}
    assert capsys.readouterr().err == ""


def test_a_conflict_between_responses_is_noted(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_text(json.dumps([entry(7, "01"), entry(8, "02"), entry(7, "03")]), encoding="utf-8")
    assert score.read_responses(log)[0] == {7: b"\x01", 8: b"\x02"}
    assert capsys.readouterr().err == f"{log}: accuracy log: found different responses to samples [7]\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "accuracy log: No such file or directory"),
        ("", "the file is empty or cut"),
        ('[\n{ "seq_id" : 0, "qsl_idx" : 1, "data" : "0A', "the file is empty or cut"),
        ("[\n]\n", "accuracy log: found no sample (was it an accuracy test?)"),
        ("{}", "accuracy log: found dict, allowed array"),
        ('[{"qsl_idx": 1, "data": "0"}]', "accuracy log: entry 0: ValueError"),
        ('[{"qsl_idx": 1}]', "accuracy log: entry 0: KeyError('data')"),
        ("[3]", "accuracy log: entry 0: TypeError"),
        ('[{"qsl_idx": 1, "data": "0A"}]', "sample 3: response: found none"),
    ],
)
def test_a_log_without_a_score_leaves_none(
    content: str | None, message: str, write: Write, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = log.with_name("accuracy.txt")
    text.write_text("of an earlier test", encoding="utf-8")
    if content is not None:
        log.write_text(content, encoding="utf-8")
    assert score.main([str(write())], load) == 2
    found = capsys.readouterr().err
    assert found.startswith(f"{log}: ")
    assert message in found
    assert not text.exists()


def test_a_folder_in_place_of_the_log_is_refused(log: Path) -> None:
    log.mkdir()
    with pytest.raises(EvidenceError, match="Is a directory"):
        score.read_responses(log)
