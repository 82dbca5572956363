from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest

from pytest_mlperf.errors import EvidenceError
from pytest_mlperf.evidence.reading import ACCURACY, ACCURACY_LOG, DETAIL, METADATA, SUMMARY, USER_CONF, read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import DetailLine

LOGS = "loadgen"  # places are told from the folder around it
DIED = " (did the harness die? see stderr.txt of the case)"
MISSING = "the file is missing (did the harness run? see stderr.txt of the case)"
FOOTER = "\nNo warnings encountered during test.\n\nNo errors encountered during test.\n"
RESULT = "Result is : {}\n  Min duration satisfied : Yes\n"
LAST = "result_99.90_percentile_latency_ns"
LOG = b'[\n{ "seq_id" : 0, "qsl_idx" : 5, "data" : "00000000" }\n]\n'


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the logs of a run say: its mode, and verdict and number of errors in each of the two logs."""

    mode: str | None = "PerformanceOnly"
    verdicts: tuple[str | None, str | None] = ("VALID", "VALID")
    errors: tuple[int, int] = (0, 0)


ACCURACY_RUN = Said(mode="AccuracyOnly", verdicts=(None, None))


class Write(Protocol):
    """Writes the logs of a run."""

    def __call__(self, said: Said = Said()) -> None: ...


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    path = tmp_path / LOGS
    path.mkdir()
    return path


@pytest.fixture
def write(log_dir: Path, detail_line: DetailLine) -> Write:
    def write(said: Said = Said()) -> None:
        facts: dict[str, object] = {
            "effective_test_mode": said.mode,
            "result_validity": said.verdicts[0],
            LAST: said.verdicts[0] and 1000,
        }
        lines = [detail_line(key, value) for key, value in facts.items() if value]
        lines += [detail_line("error_runtime", "lost", is_error=True)] * said.errors[0]
        (log_dir / DETAIL).write_text("".join(lines), encoding="utf-8")
        result = RESULT.format(said.verdicts[1]) if said.verdicts[1] else ""
        footer = FOOTER.replace("No errors", f"{said.errors[1]} ERRORS" if said.errors[1] else "No errors")
        (log_dir / SUMMARY).write_text(result + footer, encoding="utf-8")
        digest = hashlib.sha256(LOG).hexdigest()
        (log_dir / ACCURACY).write_text(f"accuracy=76.5%\nhash={digest}\n", encoding="utf-8")
        (log_dir / ACCURACY_LOG).write_bytes(LOG)

    return write


def refusal(folder: Path, metric: str | None) -> str:
    with pytest.raises(EvidenceError) as caught:
        read(folder, metric=metric)
    return str(caught.value)


def test_the_files_are_those_that_loadgen_and_the_accuracy_scripts_write() -> None:
    assert (DETAIL, SUMMARY) == ("mlperf_log_detail.txt", "mlperf_log_summary.txt")
    assert (ACCURACY, ACCURACY_LOG) == ("accuracy.txt", "mlperf_log_accuracy.json")


@pytest.mark.parametrize("verdict", ["VALID", "INVALID"])
def test_a_performance_run_has_its_verdict_twice(verdict: str, write: Write, log_dir: Path) -> None:
    write(Said(verdicts=(verdict, verdict)))
    evidence = read(log_dir, metric=None)
    assert evidence.accuracy is None
    stated, told = evidence.detail.facts["result_validity"], evidence.summary.validity
    assert (stated.value, str(stated.place)) == (verdict, f"{LOGS}/{DETAIL}:2")
    assert told is not None
    assert (told.value, str(told.place)) == (verdict, f"{LOGS}/{SUMMARY}:1")


def test_an_accuracy_run_has_a_quality_and_no_verdict(write: Write, log_dir: Path) -> None:
    write(ACCURACY_RUN)
    evidence = read(log_dir, metric="accuracy")
    assert evidence.accuracy is not None
    assert evidence.accuracy.quality.value == 76.5
    assert str(evidence.accuracy.quality.place) == f"{LOGS}/{ACCURACY}:1"
    assert evidence.summary.validity is None


def test_a_performance_run_needs_no_accuracy(write: Write, log_dir: Path) -> None:
    write()
    (log_dir / ACCURACY).unlink()
    (log_dir / ACCURACY_LOG).unlink()
    assert read(log_dir, metric=None).accuracy is None


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        (DETAIL, None),
        (SUMMARY, None),
        (DETAIL, "accuracy"),
        (SUMMARY, "accuracy"),
        (ACCURACY, "accuracy"),
        (ACCURACY_LOG, "accuracy"),
    ],
)
def test_a_missing_file_is_named(name: str, metric: str | None, write: Write, log_dir: Path) -> None:
    write(ACCURACY_RUN if metric else Said())
    (log_dir / name).unlink()
    assert refusal(log_dir, metric) == f"{LOGS}/{name}: {MISSING}"
    (log_dir / name).mkdir()
    assert refusal(log_dir, metric) == f"{LOGS}/{name}: cannot be read: Is a directory"


def test_what_was_asked_for_is_read_where_it_is_kept(write: Write, log_dir: Path) -> None:
    write()
    assert read(log_dir, metric=None).user_conf is None
    (log_dir / USER_CONF).write_bytes(b"# caf\xe9\r\n*.Offline.target_qps = 7\r\n")
    conf = read(log_dir, metric=None).user_conf
    assert conf is not None
    assert str(conf.asked["*", "Offline", "target_qps"].place) == f"{LOGS}/{USER_CONF}:2"
    (log_dir / USER_CONF).unlink()
    (log_dir / USER_CONF).mkdir()
    assert refusal(log_dir, None) == f"{LOGS}/{USER_CONF}: cannot be read: Is a directory"


# What NVIDIA's harness says of a VALID run of Offline with 12.5 samples/s, and what is wrong with it.
HARNESS = {
    "nothing": ("{}", None),
    "the same": (
        '{"scenario": "Offline", "test_mode": "PerformanceOnly", "result_validity": "VALID"}',
        None,
    ),
    "the same result": (
        '{"scenario_key": "result_samples_per_second", "result_samples_per_second": 12.50}',
        None,
    ),
    "null": ('{"result_validity": null, "scenario_key": "result_x", "detected_system": {}}', None),
    "another verdict": (
        '{\n"result_validity": "INVALID"}',
        ":2: the harness says result_validity 'INVALID', but LoadGen 'VALID'",
    ),
    "another mode": (
        '{"test_mode": "AccuracyOnly"}',
        ":1: the harness says effective_test_mode 'AccuracyOnly', but LoadGen 'PerformanceOnly'",
    ),
    "another scenario": (
        '{"scenario": "Interactive"}',
        ":1: the harness says effective_scenario 'Server', but LoadGen 'Offline'",
    ),
    "another result": (
        '{"scenario_key": "result_samples_per_second",\n"result_samples_per_second": 12.6}',
        ":2: the harness says result_samples_per_second 12.6, but LoadGen 12.5",
    ),
    "a result that LoadGen does not have": (
        '{"scenario_key": "result_x", "result_x": 1}',
        ":1: the harness says result_x 1, but LoadGen nothing",
    ),
    "cut": ('{"scenario": "Off', ":1: not JSON: "),
    "empty": ("", ":1: not JSON: "),
    "too deep": ("[" * 100_000, ": not JSON: "),
    "a list": ("[]", ": found another shape, allowed: a mapping"),
}


@pytest.mark.parametrize("name", HARNESS)
def test_what_the_harness_says_must_be_what_loadgen_says(
    name: str, write: Write, log_dir: Path, detail_line: DetailLine
) -> None:
    text, said = HARNESS[name]
    write()
    with (log_dir / DETAIL).open("a", encoding="utf-8") as stream:
        stream.write(detail_line("effective_scenario", "Offline"))
        stream.write(detail_line("result_samples_per_second", 12.5))
    (log_dir / METADATA).write_text(text, encoding="utf-8")
    if said is None:
        read(log_dir, metric=None)
    else:
        assert refusal(log_dir, None).startswith(f"{LOGS}/{METADATA}{said}")


def test_a_missing_folder_is_a_missing_file(log_dir: Path) -> None:
    assert refusal(log_dir / "none", None) == f"none/{DETAIL}: {MISSING}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param(DETAIL, ": the file is empty" + DIED, id="detail log"),
        pytest.param(SUMMARY, ": the file is empty" + DIED, id="summary"),
        pytest.param(
            ACCURACY, ": no line with accuracy (did the accuracy script fail?)", id="accuracy script"
        ),
        pytest.param(
            ACCURACY_LOG,
            ": the file holds no sample" + DIED,
            id="accuracy log",
        ),
    ],
)
def test_an_empty_file_is_named(name: str, said: str, write: Write, log_dir: Path) -> None:
    write(ACCURACY_RUN)
    (log_dir / name).write_bytes(b"")
    assert refusal(log_dir, "accuracy") == f"{LOGS}/{name}{said}"


def test_an_accuracy_log_without_its_end_is_cut(write: Write, log_dir: Path) -> None:
    write(ACCURACY_RUN)
    cut = LOG.rstrip()[:-1]
    (log_dir / ACCURACY_LOG).write_bytes(cut)
    text = f"accuracy=76.5%\nhash={hashlib.sha256(cut).hexdigest()}\n"
    (log_dir / ACCURACY).write_text(text, encoding="utf-8")
    said = "the file is cut: its closing bracket is missing"
    assert refusal(log_dir, "accuracy") == f"{LOGS}/{ACCURACY_LOG}: {said}{DIED}"


@pytest.mark.parametrize("name", [DETAIL, SUMMARY])
def test_a_cut_file_is_named(name: str, write: Write, log_dir: Path) -> None:
    write()
    whole = (log_dir / name).read_bytes()
    (log_dir / name).write_bytes(whole[:-20])
    assert refusal(log_dir, None).startswith(f"{LOGS}/{name}")
    assert "is cut" in refusal(log_dir, None)


CUT = " the test, or the file is cut (did the harness die? see stderr.txt of the case)"
TWO_RUNS = " (are they logs of two runs?)"
# What the logs say, and where they are wrong about what.
CONFLICTS = {
    "no verdict": (
        Said(verdicts=(None, None)),
        f"{LOGS}/{DETAIL}: no key result_validity: LoadGen did not end{CUT}",
    ),
    "no verdict, but in the summary": (
        Said(verdicts=(None, "VALID")),
        f"{LOGS}/{DETAIL}: no key result_validity: LoadGen did not end{CUT}",
    ),
    "no mode": (
        Said(mode=None),
        f"{LOGS}/{DETAIL}: no key effective_test_mode: LoadGen did not start{CUT}",
    ),
    "the summary is worse": (
        Said(verdicts=("VALID", "INVALID")),
        f"{LOGS}/{SUMMARY}:1: found the verdict INVALID, but VALID in {DETAIL}{TWO_RUNS}",
    ),
    "the detail log is worse": (
        Said(verdicts=("INVALID", "VALID")),
        f"{LOGS}/{SUMMARY}:1: found the verdict VALID, but INVALID in {DETAIL}{TWO_RUNS}",
    ),
    "the summary has none": (
        Said(verdicts=("VALID", None)),
        f"{LOGS}/{SUMMARY}: found the verdict nothing, but VALID in {DETAIL}{TWO_RUNS}",
    ),
    "another word": (
        Said(verdicts=("valid", "VALID")),
        f"{LOGS}/{SUMMARY}:1: found the verdict VALID, but valid in {DETAIL}{TWO_RUNS}",
    ),
    "a verdict on accuracy, in the summary": (
        Said(mode="AccuracyOnly", verdicts=(None, "VALID")),
        f"{LOGS}/{SUMMARY}:1: found the verdict VALID, but nothing in {DETAIL}{TWO_RUNS}",
    ),
    "errors in the summary": (
        Said(errors=(0, 2)),
        f"{LOGS}/{SUMMARY}:6: found 2 errors, but 0 in {DETAIL}{TWO_RUNS}",
    ),
    "more errors in the summary": (
        Said(errors=(1, 2)),
        f"{LOGS}/{SUMMARY}:6: found 2 errors, but 1 in {DETAIL}{TWO_RUNS}",
    ),
    "errors in the detail log": (
        Said(errors=(3, 0)),
        f"{LOGS}/{SUMMARY}:6: found 0 errors, but 3 in {DETAIL}{TWO_RUNS}",
    ),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_logs_in_conflict_are_an_error(name: str, write: Write, log_dir: Path) -> None:
    said, message = CONFLICTS[name]
    write(said)
    assert refusal(log_dir, None) == message


def test_a_warning_in_one_of_the_logs_is_an_error(
    write: Write, log_dir: Path, detail_line: DetailLine
) -> None:
    write()
    with (log_dir / DETAIL).open("a", encoding="utf-8") as stream:
        stream.write(detail_line("warning_generic_message", "slow", is_warning=True))
    assert refusal(log_dir, None) == f"{LOGS}/{SUMMARY}:4: found 0 warnings, but 1 in {DETAIL}{TWO_RUNS}"


def test_a_setting_that_is_stated_twice_and_otherwise_is_an_error(
    write: Write, log_dir: Path, detail_line: DetailLine
) -> None:
    write()
    whole = (log_dir / DETAIL).read_text(encoding="utf-8")
    same = detail_line("effective_test_mode", "PerformanceOnly")
    (log_dir / DETAIL).write_text(whole + same, encoding="utf-8")
    assert read(log_dir, metric=None)
    (log_dir / DETAIL).write_text(whole + detail_line("result_validity", "INVALID"), encoding="utf-8")
    said = "result_validity: found 'INVALID', but 'VALID' in line 2"
    assert refusal(log_dir, None) == f"{LOGS}/{DETAIL}:4: {said}{TWO_RUNS}"


def test_a_detail_log_that_ends_after_its_verdict_is_cut(write: Write, log_dir: Path) -> None:
    write()
    whole = (log_dir / DETAIL).read_bytes()
    (log_dir / DETAIL).write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    said = f"no key {LAST} after the verdict: LoadGen did not end its log, or the file is cut"
    assert refusal(log_dir, None) == f"{LOGS}/{DETAIL}: {said}{DIED}"


def test_logs_that_agree_on_errors_are_read(write: Write, log_dir: Path) -> None:
    write(Said(errors=(2, 2)))
    evidence = read(log_dir, metric=None)
    assert ([fact.value for fact in evidence.detail.errors], evidence.summary.errors.value) == (
        ["lost"] * 2,
        2,
    )


def test_a_quality_of_another_log_is_an_error(write: Write, log_dir: Path) -> None:
    write(ACCURACY_RUN)
    changed = LOG.replace(b"00000000", b"00000001")
    (log_dir / ACCURACY_LOG).write_bytes(changed)
    digest = hashlib.sha256(changed).hexdigest()[:12]
    said = f"was computed from another accuracy log: {ACCURACY_LOG} has the hash {digest}..."
    hint = "did two runs write into one folder?"
    assert refusal(log_dir, "accuracy") == f"{LOGS}/{ACCURACY}:2: {said} ({hint})"


def test_a_large_accuracy_log_is_hashed_whole(write: Write, log_dir: Path) -> None:
    write(ACCURACY_RUN)
    large = b'[\n{ "qsl_idx" : 0 }' + b" " * (3 << 20) + b"]\n"
    (log_dir / ACCURACY_LOG).write_bytes(large)
    text = f"accuracy=76.5%\nhash={hashlib.sha256(large).hexdigest()}\n"
    (log_dir / ACCURACY).write_text(text, encoding="utf-8")
    assert read(log_dir, metric="accuracy").accuracy is not None


def test_text_that_is_not_utf8_is_read(write: Write, log_dir: Path, detail_line: DetailLine) -> None:
    write()
    line = detail_line("sut_name", "NAME").encode().replace(b"NAME", b"caf\xe9")
    with (log_dir / DETAIL).open("ab") as stream:
        stream.write(line)
    with (log_dir / SUMMARY).open("ab") as stream:
        stream.write(b"\xff\xfe\n")
    assert read(log_dir, metric=None).detail.facts["sut_name"].value == "caf\N{REPLACEMENT CHARACTER}"


def test_windows_line_ends_are_read(write: Write, log_dir: Path) -> None:
    write(ACCURACY_RUN)
    for name in (DETAIL, SUMMARY, ACCURACY):
        path = log_dir / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    evidence = read(log_dir, metric="accuracy")
    assert evidence.detail.facts["effective_test_mode"].value == "AccuracyOnly"
    assert evidence.accuracy is not None
    assert evidence.accuracy.quality.value == 76.5


ABRIDGED = b"[\n" + LOG[2:-2] * 100 + b" " * 4096


@pytest.mark.parametrize("hashed", [True, False])
def test_a_log_that_was_abridged_for_a_submission_is_held_to_no_hash(
    write: Write, log_dir: Path, *, hashed: bool
) -> None:
    write(ACCURACY_RUN)
    (log_dir / ACCURACY_LOG).write_bytes(ABRIDGED[:4096] + b"\n\n...\n\n" + LOG)
    if hashed:
        assert "was computed from another accuracy log" in refusal(log_dir, "accuracy")
    else:
        assert read(log_dir, metric="accuracy", hashed=False).accuracy is not None


def test_where_both_are_whole_the_hash_must_fit_also_if_it_need_not_be_there(
    write: Write, log_dir: Path
) -> None:
    write(ACCURACY_RUN)
    (log_dir / ACCURACY_LOG).write_bytes(LOG.replace(b"00000000", b"00000001"))
    with pytest.raises(EvidenceError, match="was computed from another accuracy log"):
        read(log_dir, metric="accuracy", hashed=False)
