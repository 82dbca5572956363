from __future__ import annotations

import pytest

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import Fact
from pytest_mlperf.evidence.accuracy import PATTERNS, parse

FILE = "loadgen/accuracy.txt"
DIGEST = "0123456789abcdef" * 4
HASH = f"hash={DIGEST}\n"

# What the accuracy scripts of the benchmarks print: metric, line, and the quality in it.
FORMS = {
    "resnet50": ("accuracy", "accuracy=76.464%, good=38232, total=50000", 76.464),
    "resnet50, whole number": ("accuracy", "accuracy=76%", 76.0),
    "without a percent sign": ("accuracy", "accuracy=76.5, good=1, total=2", 76.5),
    "dlrm": ("auc", "AUC=80.31%, accuracy=81.1%, good=1, total=2, queries=3", 80.31),
    "ssd": ("mAP", "mAP=20.218%", 20.218),
    "bert, as Python prints it": ("f1", "{'exact_match': 83.6, 'f1': 90.87}", 90.87),
    "bert, as JSON": ("f1", '{"exact_match": 83.67, "f1": 90.874}', 90.874),
    "bert, with more behind": ("f1", '{"exact_match": 83.67, "f1": 90.874}, extra', 90.874),
    "rnnt": ("wer", "Word Error Rate: 7.45%, accuracy=92.55%", 92.55),
    "rnnt, as a fraction": ("wer", "Word Error Rate: 0.0745, accuracy=92.55%", 92.55),
    "3d-unet": ("dice", "Accuracy: mean = 0.86170, kidney = 0.9349, tumor = 0.7886", 0.8617),
    "3d-unet, without spaces": ("dice", "Accuracy: mean=0.5", 0.5),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_quality_is_found_in_each_form(name: str) -> None:
    metric, line, quality = FORMS[name]
    result = parse(f"{line}\n{HASH}", FILE, metric)
    assert (result.quality.key, result.quality.value) == (metric, quality)
    assert result.quality.place == Place(path=FILE, line=1)
    assert result.log_sha256 == Fact(key="hash", value=DIGEST, place=Place(path=FILE, line=2))


def test_every_metric_has_a_form() -> None:
    assert {metric for metric, _, _ in FORMS.values()} == set(PATTERNS)


def test_what_the_script_says_around_it_does_not_matter() -> None:
    text = f"loading ...\n  accuracy=1%\nthe accuracy=2%\naccuracy=76.5%, good=3\nbye\n{HASH}done\n"
    result = parse(text, FILE, "accuracy")
    assert (result.quality.value, result.quality.place.line) == (76.5, 4)
    assert result.log_sha256 == Fact(key="hash", value=DIGEST, place=Place(path=FILE, line=6))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("accuracy=99.9%", "accuracy: found 99.9, but 76.5 in line 1"),
        (f"hash={'f' * 64}", f"hash: found {'f' * 64}, but {DIGEST} in line 2"),
    ],
)
def test_what_is_said_twice_and_otherwise_is_an_error(line: str, said: str) -> None:
    text = f"accuracy=76.5%\n{HASH}"
    assert parse(text + text, FILE, "accuracy") == parse(text, FILE, "accuracy")
    with pytest.raises(EvidenceError) as caught:
        parse(f"{text}{line}\n", FILE, "accuracy")
    assert str(caught.value) == f"{FILE}:3: {said} (did two runs write into one folder?)"


def test_accuracy_that_was_made_up_is_none() -> None:
    text = "Accuracy: mean = {:.5f}, kidney = 1.0000, tumor = 1.0000\n"
    assert parse(text.format(0.99999), FILE, "dice", hashed=False).quality.value == 0.99999
    with pytest.raises(EvidenceError) as caught:
        parse(text.format(1), FILE, "dice", hashed=False)
    assert str(caught.value) == (
        f"{FILE}:1: the accuracy was not checked: the harness made up 1.000 "
        "(it could not reach the computer that checks it)"
    )


@pytest.mark.parametrize("end", ["\r\n", "\r"], ids=["Windows", "old Mac"])
def test_other_line_ends_are_read(end: str) -> None:
    assert parse(f"accuracy=76.5%{end}hash={DIGEST}{end}", FILE, "accuracy").quality.value == 76.5


HINT = " (did the accuracy script fail?)"
BAD = {
    "empty": ("", ": no line with accuracy" + HINT),
    "only the hash": (HASH, ": no line with accuracy" + HINT),
    "NULs": ("\0" * 100, ": no line with accuracy" + HINT),
    "a traceback": ("Traceback (most recent call last):\nKeyError: 3\n", ": no line with accuracy" + HINT),
    "another metric": (f"mAP=20.2%\n{HASH}", ": no line with accuracy" + HINT),
    "not a number": (f"accuracy=nan%\n{HASH}", ": no line with accuracy" + HINT),
    "negative": (f"accuracy=-1%\n{HASH}", ": no line with accuracy" + HINT),
    "endless": (f"accuracy=1e999%\n{HASH}", ":1: found accuracy inf, allowed: a finite number"),
    "nothing": (f"accuracy=%\n{HASH}", ": no line with accuracy" + HINT),
    "no hash": ("accuracy=76.5%\n", ": no line with hash" + HINT),
    "hash cut": (f"accuracy=76.5%\nhash={DIGEST[:-1]}\n", ": no line with hash" + HINT),
    "hash too long": (f"accuracy=76.5%\nhash={DIGEST}0\n", ": no line with hash" + HINT),
    "hash that is none": (f"accuracy=76.5%\nhash={'x' * 64}\n", ": no line with hash" + HINT),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_without_quality_or_hash_is_an_error(name: str) -> None:
    text, said = BAD[name]
    with pytest.raises(EvidenceError) as caught:
        parse(text, FILE, "accuracy")
    assert str(caught.value) == FILE + said


@pytest.mark.parametrize("number", ["1.2.3", ".", "..", "76.5."])
def test_a_number_that_is_none_is_an_error(number: str) -> None:
    with pytest.raises(EvidenceError):
        parse(f"accuracy={number}%\n{HASH}", FILE, "accuracy")


@pytest.mark.parametrize(
    ("metric", "line"),
    [
        pytest.param("dice", "Accuracy: mean = 9.1e-05, kidney = 0.0, tumor = 0.0", id="dice"),
        pytest.param("mAP", "mAP=9e-05%", id="mAP"),
    ],
)
def test_a_number_with_an_exponent_is_not_read_without_it(metric: str, line: str) -> None:
    try:
        quality = parse(f"{line}\n{HASH}", FILE, metric).quality.value
    except EvidenceError:
        return
    assert quality < 1e-4


def test_a_script_may_leave_the_hash_to_others() -> None:
    assert parse("accuracy=76.5%\n", FILE, "accuracy", hashed=False).log_sha256 is None
    told = parse(f"accuracy=76.5%\n{HASH}", FILE, "accuracy", hashed=False).log_sha256
    assert told is not None
    assert told.value == DIGEST
