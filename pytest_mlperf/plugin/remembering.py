"""The history of sessions: where it is, what goes into it at the end, and what it is asked."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import ConfigurationError, EvidenceError, HostError
from pytest_mlperf.record import RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.history.counted import Choice
    from pytest_mlperf.history.store import History
    from pytest_mlperf.history.waiting import Note


@dataclass(kw_only=True, eq=False)
class _Remembering:
    history: History
    note: Note
    told: list[str] = field(default_factory=list)
    elsewhere: list[Note] = field(default_factory=list)
    """Those whose results are on a disk that is not here now."""


_STASH = pytest.StashKey[_Remembering]()


def begin(config: pytest.Config, results: Path) -> None:
    """Note that the session in a folder is to be remembered, if any is. Raises UsageError."""
    history = history_of(config)
    if history is None:
        return
    from pytest_mlperf.history import waiting  # noqa: PLC0415  only with a history

    notes = waiting.of(history)
    try:
        note = notes.add(results)
    except OSError as error:
        raise pytest.UsageError(
            f"{notes.folder}: --mlperf-history: cannot be written: {error.strerror} "
            "(XDG_STATE_HOME names another folder for what a history has not got yet)"
        ) from error
    config.stash[_STASH] = _Remembering(history=history, note=note)


def end(config: pytest.Config) -> None:
    """Add this session to the history, and those that it has not got yet."""
    remembering = config.stash.get(_STASH, None)
    if remembering is None:
        return
    from pytest_mlperf.history import waiting  # noqa: PLC0415  only with a history

    notes = waiting.of(remembering.history)
    try:
        if _deliver(remembering, remembering.note):
            for note in notes.take():
                _deliver(remembering, note)
    except OSError as error:
        remembering.told.append(f"{notes.folder}: what waits for the history cannot be read: {error}")
    if remembering.elsewhere:
        count, note = len(remembering.elsewhere), remembering.elsewhere[0]
        remembering.told.append(
            f"history: {count} sessions wait on a disk that is not here now, as {note.results} does "
            f"(where that is gone for good, remove {note.path})"
        )


def told(config: pytest.Config) -> Iterable[str]:
    """Return what is to be said of the history."""
    remembering = config.stash.get(_STASH, None)
    return remembering.told if remembering else ()


def _deliver(remembering: _Remembering, note: Note) -> bool:
    from pytest_mlperf.history import past  # noqa: PLC0415  only with a history

    results, say = note.results, remembering.told.append
    try:
        new = remembering.history.add(past.read(results))
    except EvidenceError as error:
        gone = isinstance(error.__cause__, FileNotFoundError) and not (results / RECORDS).exists()
        if gone and not results.parent.is_dir():
            note.keep()
            remembering.elsewhere.append(note)
            return True
        say(f"history: {error}: not added")
        if gone:
            note.done()
        else:
            note.keep()
        return True
    except HostError as error:
        say(f"{error}: not added; the next session with this history on this machine adds {results}")
        note.keep()
        return False
    note.done()
    where = "" if note is remembering.note else f" of {results}, which it had not got yet"
    say(f"history {remembering.history}: {new} records{where}")
    return True


def answer(config: pytest.Config) -> pytest.ExitCode:
    """Import what is to be imported, and print what is asked. Raises UsageError where that fails."""
    if _names(config, "sku") + _names(config, "benchmark") and not config.getoption("mlperf_report"):
        raise pytest.UsageError(
            "--mlperf-sku, --mlperf-benchmark: found no --mlperf-report beside them, allowed: with a report "
            "(-m and -k select the cases that run)"
        )
    history = history_of(config)
    if history is None:
        raise pytest.UsageError(
            "--mlperf-report, --mlperf-import: found no history, allowed: one named by --mlperf-history "
            "or the ini key mlperf_history"
        )
    if not config.getoption("mlperf_import") and not history.exists:
        raise pytest.UsageError(
            f"--mlperf-report: found no history {history}, allowed: one that exists (sessions with "
            "--mlperf-history, or --mlperf-import, make it)"
        )
    try:
        named = config.getoption("mlperf_import") or ()
        whole = [_import(history, config.invocation_params.dir / name) for name in named]
        answered = _report(history, config)
    except (ConfigurationError, EvidenceError, HostError) as error:
        raise pytest.UsageError(str(error)) from error
    return answered if all(whole) else pytest.ExitCode.TESTS_FAILED


def _import(history: History, named: Path) -> bool:
    """Add what can be read, and name what cannot; return whether that is nothing."""
    from pytest_mlperf.history import past  # noqa: PLC0415  only with a history

    found = past.below(named)
    if not found:
        raise pytest.UsageError(
            f"{named}: --mlperf-import: found no {RECORDS} in or below it, allowed: results of sessions"
        )
    new: list[int] = []
    try:
        for results in found:
            new.extend(_imported(history, results))
    finally:
        # Also when the history fails in between: what went in before stays there.
        sys.stdout.write(f"history {history}: {sum(new)} records of {len(new)} sessions were new\n")
    return len(new) == len(found)


def _imported(history: History, results: Path) -> Iterator[int]:
    """Add a session, and give how many of its records were new; nothing where it cannot be read."""
    from pytest_mlperf.history import past  # noqa: PLC0415  only with a history

    try:
        session = past.read(results)
    except EvidenceError as error:
        sys.stderr.write(f"ERROR: --mlperf-import: {error}: not added\n")
    else:
        yield history.add(session)


def _report(history: History, config: pytest.Config) -> pytest.ExitCode:
    """Print the report that is asked for, if any is. The exit code is 5 where there is nothing in it."""
    asked = config.getoption("mlperf_report")
    if not asked:
        return pytest.ExitCode.OK
    from pytest_mlperf.history import counted  # noqa: PLC0415  only with a history

    choice = counted.Choice(skus=_names(config, "sku"), benchmarks=_names(config, "benchmark"))
    said = _page(history, choice, config) if asked == "html" else _REPORTS[asked](history, choice)
    sys.stdout.write(f"{said or f'history {history}: no verdict yet'}\n")
    return pytest.ExitCode.OK if said else pytest.ExitCode.NO_TESTS_COLLECTED


def _names(config: pytest.Config, what: str) -> tuple[str, ...]:
    return tuple(config.getoption(f"mlperf_{what}") or ())


def _rates(history: History, choice: Choice) -> str:
    from pytest_mlperf.history.rates import rates, table  # noqa: PLC0415  only with a history

    return table(rates(history, choice))


def _trend(history: History, choice: Choice) -> str:
    from pytest_mlperf.history.trend import trend  # noqa: PLC0415  only with a history
    from pytest_mlperf.history.trend_words import words  # noqa: PLC0415  only with a history

    return words(trend(history, choice))


def _page(history: History, choice: Choice, config: pytest.Config) -> str:
    """Write the page, and return where it is; nothing where there is nothing to show. Raises UsageError."""
    from pytest_mlperf.history.rates import rates  # noqa: PLC0415  only with a history
    from pytest_mlperf.history.trend import trend  # noqa: PLC0415  only with a history
    from pytest_mlperf.history.trend_page import page  # noqa: PLC0415  only with a history

    found = trend(history, choice)
    if not found:
        return ""
    path = config.invocation_params.dir / (_page_named(config) or "mlperf-history.html")
    try:
        path.write_text(page(str(history), rates(history, choice), found), encoding="utf-8")
    except OSError as error:
        raise pytest.UsageError(f"{path}: --mlperf-report html: {error.strerror}") from error
    return f"history {history}: {path.as_uri()}"


def _page_named(config: pytest.Config) -> str | None:
    """Return the file that --html names beside this question; one of the ini file is of sessions' reports."""
    given = map(str, config.invocation_params.args)
    named = any(word == "--html" or word.startswith("--html=") for word in given)
    return config.getoption("htmlpath", None) if named else None


_REPORTS: Mapping[str, Callable[[History, Choice], str]] = {"rates": _rates, "trend": _trend}


def history_of(config: pytest.Config) -> History | None:
    """Return the history that is named, None where there is none. Raises UsageError where it cannot be."""
    given = config.getoption("mlperf_history") or config.getini("mlperf_history")
    if not given:
        return None
    start = config.invocation_params.dir if config.getoption("mlperf_history") else config.rootpath
    url = given if "://" in given else f"sqlite:///{(start / given).resolve()}"
    try:
        from pytest_mlperf.history.store import open_history  # noqa: PLC0415  only with a history

        return open_history(url)
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        raise pytest.UsageError(
            f"--mlperf-history: found no module {missing} (pip install 'pytest-mlperf[history]', and "
            "'pytest-mlperf[postgresql]' for PostgreSQL)"
        ) from error
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from error
