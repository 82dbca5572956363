from __future__ import annotations

import pytest

from pytest_mlperf.errors import (
    ConfigurationError,
    EvidenceError,
    HostError,
    MlperfError,
    Place,
    Problem,
    RunError,
    nearest,
)

PLACE = Place(path="m.yaml", line=3)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        pytest.param(Problem(what="it is red"), "it is red", id="only what"),
        pytest.param(Problem(what="it is red", place=PLACE), "m.yaml:3: it is red", id="with a line"),
        pytest.param(
            Problem(what="it is red", place=Place(path="m.yaml")), "m.yaml: it is red", id="with a file"
        ),
        pytest.param(Problem(what="it is red", hint="paint it"), "it is red (paint it)", id="with a hint"),
        pytest.param(
            Problem(what="it is red", place=PLACE, hint="paint it"),
            "m.yaml:3: it is red (paint it)",
            id="with all",
        ),
    ],
)
def test_a_problem_is_place_fact_and_hint(problem: Problem, text: str) -> None:
    assert str(problem) == text
    assert str(MlperfError(problem.what, place=problem.place, hint=problem.hint)) == text


def test_several_problems_are_a_line_each() -> None:
    problems = [Problem(what="one", place=PLACE), Problem(what="two")]
    error = ConfigurationError(iter(problems))
    assert str(error) == "m.yaml:3: one\ntwo"
    assert error.problems == tuple(problems)


@pytest.mark.parametrize("kind", [ConfigurationError, HostError, RunError, EvidenceError])
def test_every_error_is_caught_by_its_base(kind: type[MlperfError]) -> None:
    with pytest.raises(MlperfError, match=r"^it is red$"):
        raise kind("it is red")


@pytest.mark.parametrize(
    ("found", "hint"),
    [
        pytest.param("Offlne", "did you mean 'Offline'?", id="a letter missing"),
        pytest.param("offline", "did you mean 'Offline'?", id="small letters"),
        pytest.param("SERVER", "did you mean 'Server'?", id="capitals"),
        pytest.param("Interactive", None, id="another word"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_the_nearest_word_is_named(found: str, hint: str | None) -> None:
    assert nearest(found, ("Server", "Offline")) == hint


def test_there_is_no_nearest_word_of_none() -> None:
    assert nearest("Server", ()) is None
