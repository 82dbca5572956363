"""Each miniature scores as its manifest says, whatever the batch, and refuses to score what is incomplete."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.harness.onnxruntime.miniatures import find, load, manifest

if TYPE_CHECKING:
    from pytest_mlperf.harness.onnxruntime.tasks import Task

NAMES = list(manifest())
EVERY = [(name, precision) for name in NAMES for precision in find(name).precisions]


@cache
def opened(name: str, precision: str) -> Task:
    return load(name, precision)


@cache
def answers(name: str, precision: str, batch_size: int) -> dict[int, bytes]:
    task = opened(name, precision)
    order = sorted(range(task.sample_count), key=task.cost)
    found: dict[int, bytes] = {}
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        rows = task.predict(indices)
        assert all(row.flags["C_CONTIGUOUS"] for row in rows)
        found |= {index: row.tobytes() for index, row in zip(indices, rows, strict=True)}
    return found


@pytest.mark.parametrize(("name", "precision"), EVERY)
def test_quality_is_what_the_manifest_says(name: str, precision: str) -> None:
    task = opened(name, precision)
    score = task.score(answers(name, precision, task.batch_size))
    assert score.value == pytest.approx(find(name).quality[precision], abs=1e-6)


@pytest.mark.parametrize(("name", "precision"), EVERY)
def test_quality_is_the_same_one_by_one(name: str, precision: str) -> None:
    score = opened(name, precision).score(answers(name, precision, 1))
    assert score.value == pytest.approx(find(name).quality[precision], abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_is_the_same_when_a_sample_is_asked_for_twice(name: str) -> None:
    task = opened(name, "fp32")
    one, other = task.predict([3, 3])
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_sample_count_is_what_the_manifest_says(name: str) -> None:
    assert opened(name, "fp32").sample_count == find(name).sample_count


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_sample_is_named(name: str) -> None:
    task = opened(name, "fp32")
    responses = dict(answers(name, "fp32", task.batch_size))
    del responses[7]
    with pytest.raises(ValueError, match="sample 7: response: found none"):
        task.score(responses)


@pytest.mark.parametrize("name", NAMES)
def test_a_response_of_the_wrong_size_is_named(name: str) -> None:
    task = opened(name, "fp32")
    responses = dict(answers(name, "fp32", task.batch_size))
    responses[7] += bytes(1000) + b"\0"
    with pytest.raises(
        ValueError, match=r"sample 7: response: found \d+ bytes, (expected|allowed) .* ; hint: "
    ):
        task.score(responses)
