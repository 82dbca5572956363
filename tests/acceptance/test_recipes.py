"""The recipes for CI: their files are what their readers take, and their commands run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.containers import needed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessions import Session

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "how-to"
FILES = sorted(path for path in RECIPES.iterdir() if path.is_file())
GITHUB, GITLAB, JENKINS = (RECIPES / name for name in ("github-actions.yml", "gitlab-ci.yml", "Jenkinsfile"))
SLOW = """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline}
include:
  - {benchmark: [good, slow], mode: AccuracyOnly}
"""


def program(path: Path) -> str:
    """Write a program that runs the pytest of these tests: nothing is installed anew."""
    options = f'-p no:cacheprovider -W ignore "$@" -c {path / "tox.ini"}'
    text = f"#!/bin/sh\nexec {sys.executable} -m pytest {options}\n"
    target = path / ".venv/bin/pytest"
    target.parent.mkdir(parents=True)
    target.write_text(text, encoding="utf-8")
    target.chmod(0o755)
    return str(target)


@pytest.fixture
def project(session: Session) -> Path:
    """A project as the recipes expect it: with a suite, this script, and a pytest in .venv."""
    path = session.pytester.path
    (path / "suites").mkdir()
    (path / "test_suite.py").rename(path / "suites/test_suite.py")
    shutil.copytree(RECIPES, path / "docs/how-to")
    program(path)
    return path


def shell(project: Path, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script as GitHub's runner and GitLab's do."""
    argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(
        argv, cwd=project, env=os.environ | env, capture_output=True, text=True, timeout=120, check=False
    )


def endings(project: Path) -> list[str]:
    text = (project / "reports/records.jsonl").read_text(encoding="utf-8")
    return [line["record"]["ending"] for line in map(json.loads, text.splitlines()) if "record" in line]


@pytest.mark.parametrize(
    ("schema", "options", "path"),
    [
        ("vendor.github-workflows", (), GITHUB),
        ("vendor.gitlab-ci", ("--data-transform", "gitlab-ci"), GITLAB),
    ],
)
def test_a_recipe_is_what_its_reader_takes(schema: str, options: tuple[str, ...], path: Path) -> None:
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *options, str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_options_that_a_recipe_names_exist(path: Path, pytester: pytest.Pytester) -> None:
    known = pytester.runpytest_subprocess("--help").stdout.str()
    named = set(re.findall(r"--mlperf-[a-z-]+", path.read_text(encoding="utf-8")))
    assert sorted(option for option in named if not re.search(rf"{option}\b(?!-)", known)) == []


def test_a_run_leaves_its_reports_and_says_how_it_ended(project: Path) -> None:
    done = shell(project, "exec bash docs/how-to/qualify.sh run suites", MLPERF_HISTORY="h.sqlite")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stderr
    assert {path.name for path in (project / "reports").iterdir()} == {
        "junit.xml",
        "report.html",
        "records.jsonl",
        "metrics.csv",
        "metrics.prom",
    }
    assert (project / "h.sqlite").exists()
    assert sorted(endings(project)) == ["dropped", "error", "fail", "fail", "pass", "pass", "unplaced"]
    again = shell(project, "exec bash docs/how-to/qualify.sh run suites")
    assert "taken over" not in again.stdout
    assert (project / "mlperf-results/run.2/records.jsonl").exists()


def test_a_run_that_was_ended_at_its_limit_goes_on(session: Session, project: Path) -> None:
    session.write_matrix(SLOW)
    script = "exec bash docs/how-to/qualify.sh run suites"
    done = shell(project, script, MLPERF_LIMIT="6s")
    assert done.returncode == 124
    assert sorted(endings(project)) == ["error", "pass"]
    done = shell(project, f"{script} -k good", MLPERF_LIMIT="60s")
    assert done.returncode == pytest.ExitCode.OK
    assert "1 taken over from mlperf-results/run.1" in done.stdout


def test_a_run_that_ci_ends_still_reports(session: Session, project: Path) -> None:
    session.write_matrix(SLOW)
    script = "exec bash docs/how-to/qualify.sh run suites"
    records = project / "mlperf-results/run.1/records.jsonl"
    with subprocess.Popen(["/bin/bash", "-ec", script], cwd=project, stdout=subprocess.PIPE) as process:
        while not (records.exists() and '"record"' in records.read_text(encoding="utf-8")):
            assert process.poll() is None, "it ended by itself"
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert sorted(endings(project)) == ["error", "pass"]
    assert (project / "reports/junit.xml").exists()


def commands(path: Path) -> list[str]:
    """Return the commands of a recipe in their order, without those that install."""
    if path is JENKINS:
        found = re.findall(r"sh '''\n(.*?)'''", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    else:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path is GITHUB:
            found = [step["run"] for step in content["jobs"]["qualify"]["steps"] if "run" in step]
        else:
            found = [*content["qualify"]["before_script"], *content["qualify"]["script"]]
    lines = [line.strip() for text in found for line in text.splitlines()]
    return [line for line in lines if line and "-m venv" not in line and "pip install" not in line]


NAMES: Mapping[Path, tuple[dict[str, str], str]] = {
    GITHUB: ({"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1658821493"}, "github-1658821493"),
    GITLAB: ({"GITLAB_CI": "true", "CI_PIPELINE_ID": "77"}, "gitlab-77"),
    JENKINS: ({"RUN": "", "BUILD_NUMBER": "12"}, "jenkins-12"),
}


@pytest.mark.parametrize("path", NAMES, ids=lambda path: path.name)
def test_the_commands_of_a_recipe_run(project: Path, path: Path) -> None:
    variables, name = NAMES[path]
    env = {
        **variables,
        "MARKERS": "smoke and good and CPU",
        "MLPERF_LIMIT": "1m",
        "GITHUB_STEP_SUMMARY": "s.md",
    }
    doctor, qualify = commands(path)
    assert "--mlperf-doctor" in doctor
    for command in (doctor, qualify):
        done = shell(project, command, **env)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (project / f"mlperf-results/{name}.1/records.jsonl").exists()
    assert (project / "reports/metrics.prom").exists()


def test_a_promise_of_hardware_that_is_not_kept_fails_the_job(project: Path) -> None:
    _, qualify = commands(GITLAB)
    done = shell(project, qualify, MARKERS="A2x2", CI_PIPELINE_ID="1", MLPERF_LIMIT="1m")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED


@pytest.mark.long
def test_gitlab_ci_local_runs_the_job(project: Path) -> None:
    """The whole recipe but for the installation, by a reader of GitLab's files; its runner is not here."""
    gitlab = os.environ.get("MLPERF_GITLAB_CI_LOCAL") or needed(
        "gitlab-ci-local", command=".ci/readers FOLDER"
    )
    installing = r"^    - (python3 -m venv|\.venv/bin/pip).*\n"
    text = re.sub(installing, "", GITLAB.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (project / ".gitlab-ci.yml").write_text(text, encoding="utf-8")
    (project / ".gitignore").write_text("/reports/\n/.gitlab-ci-local/\n", encoding="utf-8")
    git = "git -c user.name=n -c user.email=n@example.com"
    shell(project, f"git init -q . && {git} add -A . && {git} commit -qm all")
    shell(project, "git remote add origin https://gitlab.example.com/group/project.git")
    env = {name: value for name, value in os.environ.items() if name != "CI"}
    results = project.parent / "gitlab-results"
    variables = (f"MLPERF_RESULTS={results}", "MARKERS=smoke and good and CPU")
    options = [option for variable in variables for option in ("--variable", variable)]
    done = subprocess.run(
        [gitlab, "--force-shell-executor", *options, "qualify"],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "conformant: 2 of 2 planned cases passed" in done.stdout
    assert (project / "reports/junit.xml").exists()
    assert len(list(results.glob("gitlab-*.1/records.jsonl"))) == 1
