"""Each metric against values computed by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_mlperf.harness.onnxruntime.tasks.classification import top_1
from pytest_mlperf.harness.onnxruntime.tasks.language import best_span, span_f1
from pytest_mlperf.harness.onnxruntime.tasks.mean_average_precision import Boxes, mean_average_precision
from pytest_mlperf.harness.onnxruntime.tasks.recommendation import roc_auc
from pytest_mlperf.harness.onnxruntime.tasks.segmentation import mean_dice
from pytest_mlperf.harness.onnxruntime.tasks.speech import edit_distance, word_accuracy


def test_top_1() -> None:
    score = top_1(np.array([1, 2, 3]), np.array([1, 2, 4]))
    assert score.value == 66.667
    assert score.line == "accuracy=66.667%, good=2, total=3"


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ([], [], 0),
        ([], [1, 2], 2),
        ([1, 2], [], 2),
        ([1, 2, 3], [1, 2, 3], 0),
        ([1, 2, 3], [1, 3], 1),
        ([1, 3], [1, 2, 3], 1),
        ([1, 9, 3], [1, 2, 3], 1),
        ([2, 1], [1, 2], 2),
        ([3, 4, 5], [4, 5, 3], 2),
    ],
)
def test_edit_distance(one: list[int], other: list[int], distance: int) -> None:
    assert edit_distance(one, other) == distance


def test_word_accuracy_counts_words_and_not_utterances() -> None:
    score = word_accuracy([[1], [1, 2, 3, 4, 5, 6, 9]], [[2], [1, 2, 3, 4, 5, 6, 7]])
    assert score.value == 75
    assert score.line == "Word Error Rate: 25.000000%, accuracy=75.000000%"


def test_word_accuracy_falls_below_zero_when_too_much_is_heard() -> None:
    assert word_accuracy([[1, 2, 3]], [[4]]).value == -200


@pytest.mark.parametrize(
    ("found", "expected", "exact", "f1"),
    [
        ([[7, 8]], [[7, 8]], 100, 100),
        ([[7]], [[8]], 0, 0),
        ([[7, 8, 9]], [[8]], 0, 50),
        ([[7, 7]], [[7]], 0, 66.666667),
        ([[8, 7]], [[7, 8]], 0, 100),
        ([[7], [8, 9]], [[7], [9, 6]], 50, 75),
    ],
)
def test_span_f1(found: list[list[int]], expected: list[list[int]], exact: float, f1: float) -> None:
    score = span_f1(found, expected)
    assert score.value == f1
    assert json.loads(score.line) == {"exact_match": exact, "f1": f1}


@pytest.mark.parametrize(
    ("start", "end", "span"),
    [
        ([0, 5, 0], [0, 0, 3], (1, 2)),
        ([0, 0, 9], [8, 1, 0], (2, 2)),
        ([9, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 5, 4], (0, 0)),
        ([9, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 2, 5, 4], (0, 5)),
    ],
    ids=["plain", "no end before its start", "too long", "longest"],
)
def test_best_span(start: list[float], end: list[float], span: tuple[int, int]) -> None:
    assert best_span(np.array([start, end], np.float32).T) == span


@pytest.mark.parametrize(
    ("chances", "clicked", "auc"),
    [
        ([0.1, 0.9], [0, 1], 100),
        ([0.9, 0.1], [0, 1], 0),
        ([0.5, 0.5], [0, 1], 50),
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 75),
        ([0.2, 0.7, 0.7, 0.9], [0, 0, 1, 1], 87.5),
        ([0.3, 0.3, 0.3, 0.8], [0, 1, 0, 0], 33.333333),
    ],
)
def test_roc_auc(chances: list[float], clicked: list[int], auc: float) -> None:
    score = roc_auc(np.array(chances, np.float32), np.array(clicked, np.uint8), queries=1)
    assert score.value == auc
    assert score.line.startswith(f"AUC={auc:.6f}%, accuracy=")


def test_roc_auc_line() -> None:
    score = roc_auc(np.array([0.1, 0.6, 0.4, 0.8]), np.array([0, 0, 1, 1]), queries=2)
    assert score.line == "AUC=75.000000%, accuracy=50.000%, good=2, total=4, queries=2"


def boxes(*rows: tuple[float, float, float, float, int, float]) -> Boxes:
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Boxes(corners=table[:, :4], labels=table[:, 4].astype(int), scores=table[:, 5])


WHOLE = (0.0, 0.0, 1.0, 1.0)
ELSEWHERE = (2.0, 2.0, 3.0, 3.0)
THREE_QUARTERS = (0.0, 0.0, 0.75, 1.0)
AT_51_OF_101_POINTS = 51 / 101


@pytest.mark.parametrize(
    ("found", "expected", "precision"),
    [
        pytest.param([boxes((*WHOLE, 1, 0.9))], [boxes((*WHOLE, 1, 1))], 1, id="perfect"),
        pytest.param([boxes()], [boxes((*WHOLE, 1, 1))], 0, id="nothing found"),
        pytest.param([boxes((*WHOLE, 2, 0.9))], [boxes((*WHOLE, 1, 1))], 0, id="wrong label"),
        # Overlap 0.75 is enough for the thresholds 0.50, 0.55, ... 0.75: six of ten.
        pytest.param([boxes((*THREE_QUARTERS, 1, 0.9))], [boxes((*WHOLE, 1, 1))], 0.6, id="loose"),
        # The second box on the same digit is false, but comes after all recall is reached.
        pytest.param(
            [boxes((*WHOLE, 1, 0.9), (*WHOLE, 1, 0.8))], [boxes((*WHOLE, 1, 1))], 1, id="twice, harmless"
        ),
        # A false box is ranked before the true one: precision is 1/2 at every recall.
        pytest.param(
            [boxes((*ELSEWHERE, 1, 0.9), (*WHOLE, 1, 0.8))], [boxes((*WHOLE, 1, 1))], 0.5, id="false first"
        ),
        # One of two is found: precision is 1 up to recall 0.5, which 51 of 101 points are.
        pytest.param(
            [boxes((*WHOLE, 1, 0.9))],
            [boxes((*WHOLE, 1, 1), (*ELSEWHERE, 1, 1))],
            AT_51_OF_101_POINTS,
            id="one of two",
        ),
        pytest.param(
            [boxes((*WHOLE, 1, 0.9)), boxes()],
            [boxes((*WHOLE, 1, 1)), boxes((*WHOLE, 1, 1))],
            AT_51_OF_101_POINTS,
            id="one of two images",
        ),
        # Ranks are of all images together: the false box of the second image comes first.
        pytest.param(
            [boxes((*WHOLE, 1, 0.5)), boxes((*WHOLE, 1, 0.9))],
            [boxes((*WHOLE, 1, 1)), boxes()],
            0.5,
            id="false in another image",
        ),
        pytest.param(
            [boxes((*WHOLE, 1, 0.9))], [boxes((*WHOLE, 1, 1), (*WHOLE, 2, 1))], 0.5, id="one of two labels"
        ),
    ],
)
def test_mean_average_precision(found: list[Boxes], expected: list[Boxes], precision: float) -> None:
    assert mean_average_precision(found, expected) == pytest.approx(precision, abs=1e-12)


def test_mean_dice() -> None:
    found = np.array([[1, 1, 2, 0], [1, 1, 1, 0]], np.uint8)
    expected = np.array([[1, 0, 2, 2], [1, 1, 1, 0]], np.uint8)
    score = mean_dice(found, expected)
    # Kidney: 2 of 3, then all. Tumour: 2 of 3, then none where none is: all.
    assert score.value == 0.833333
    assert score.line == "Accuracy: mean = 0.833333, kidney = 0.833333, tumor = 0.833333"


def test_mean_dice_of_what_is_missed() -> None:
    assert mean_dice(np.zeros((1, 4), np.uint8), np.array([[1, 1, 2, 2]], np.uint8)).value == 0
