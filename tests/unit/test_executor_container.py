"""Cases in containers of the real engine, where there is one."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from pytest_mlperf.errors import ConfigurationError, HostError, RunError
from pytest_mlperf.executor import Limit, Terms, limit
from pytest_mlperf.executor.container import CASE, SESSION, Containers, reaping
from pytest_mlperf.executor.container.connection import refusals
from pytest_mlperf.executor.container.options import options
from pytest_mlperf.executor.container.output import Output
from pytest_mlperf.executor.ending import STDERR, STDOUT
from pytest_mlperf.hardware import Device, Engine, engine
from pytest_mlperf.harness import Command, Container, Mount
from pytest_mlperf.ownership import this_process
from tests.containers import needed
from tests.unit import container_owner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

GPU = Device(vendor="NVIDIA", name="NVIDIA A2", uuid="GPU-5a1f")
ORIN = Device(vendor="NVIDIA", name="Orin", integrated=True)
PATIENCE_S = 30


@dataclass(frozen=True, kw_only=True)
class Rig:
    """Runs shell scripts as the steps `run`, `score` and `more` of a case in containers."""

    client: Any
    image: str
    folder: Path

    def run(self, *scripts: str, time_limit_s: float = 60, **terms: Any) -> tuple[str, str]:
        """Return what was said on stdout and stderr."""
        self.execute(*scripts, time_limit_s=time_limit_s, container=Container(image=self.image, **terms))
        return self.stdout, self.stderr

    def execute(
        self,
        *scripts: str,
        container: Container,
        time_limit_s: float = 60,
        containers: Containers | None = None,
        **surroundings: Any,
    ) -> None:
        steps = tuple(
            Command(
                name=name,
                argv=("sh", "-c", script),
                env={"OF_STEP": name, "LIST": "a b"},
                container=container,
            )
            for name, script in zip(("run", "score", "more"), scripts, strict=False)
        )
        self.run_steps(*steps, containers=containers, limit=limit(time_limit_s), **surroundings)

    def run_steps(
        self, *steps: Command, containers: Containers | None = None, limit: Limit, **surroundings: Any
    ) -> None:
        containers = containers or Containers(engine.detect)
        for step in steps:
            containers.execute(step, self.folder, Terms(limit=limit, **surroundings))

    def failure(self, *scripts: str, **terms: Any) -> str:
        with pytest.raises(RunError) as caught:
            self.run(*scripts, **terms)
        assert self.left() == []
        return str(caught.value)

    def left(self) -> list[Any]:
        """Return the containers of this folder that are there."""
        found = self.client.containers.list(all=True, ignore_removed=True, filters={"label": SESSION})
        ours = [str(place) for place in self.folder.parents[:2]]
        return [container for container in found if container.labels[SESSION] in ours]

    def running(self) -> Any:
        """Wait for a container of this folder to run, and for its first word."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if (self.folder / STDOUT).exists() and self.stdout:
                return self.left()[0]
            time.sleep(0.02)
        raise AssertionError("no container said anything")

    @property
    def stdout(self) -> str:
        return (self.folder / STDOUT).read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return (self.folder / STDERR).read_text(encoding="utf-8")


@pytest.fixture
def rig(engine_client: Any, busybox_image: str, engine_gate: object, tmp_path: Path) -> Iterator[Rig]:
    del engine_gate  # held meanwhile
    folder = tmp_path / "case-A2_TRT@99.9"
    folder.mkdir()
    rig = Rig(client=engine_client, image=busybox_image, folder=folder)
    yield rig
    for container in rig.left():
        container.remove(force=True)


def owned(rig: Rig, *, device_requests: Sequence[Any] = (), **changes: Any) -> Any:
    """Make a container that says to be of this process, but for some changes."""
    label = replace(this_process(), **changes).to_label()
    labels = {reaping.LABEL: label, SESSION: str(rig.folder.parent)}
    return rig.client.containers.create(
        rig.image, entrypoint=["true"], labels=labels, device_requests=list(device_requests)
    )


def test_steps_run_one_after_the_other_in_the_folder(rig: Rig) -> None:
    assert rig.run("pwd; echo one >&2", "pwd; echo two >&2") == (f"{rig.folder}\n" * 2, "one\ntwo\n")
    assert rig.left() == []


def test_a_step_has_its_environment_and_what_its_image_adds(rig: Rig) -> None:
    said = dict(line.split("=", 1) for line in rig.run("env")[0].splitlines())
    assert {name: said[name] for name in ("OF_STEP", "LIST", "OF_IMAGE", "PATH")} == {
        "OF_STEP": "run",
        "LIST": "a b",
        "OF_IMAGE": "here",
        "PATH": "/bin",
    }
    assert set(said) <= {"OF_STEP", "LIST", "OF_IMAGE", "PATH", "HOME", "HOSTNAME", "PWD", "SHLVL"}


def test_arguments_reach_the_program_as_they_are(rig: Rig) -> None:
    argv = ("printf", "%s|", "a b", "$HOME", "", "'")
    step = Command(name="run", argv=argv, env={}, container=Container(image=rig.image))
    rig.run_steps(step, limit=limit(60))
    assert rig.stdout == "a b|$HOME||'|"


def test_bytes_that_are_no_text_are_kept(rig: Rig) -> None:
    rig.execute(r"printf 'caf\351\000\r\n'", container=Container(image=rig.image))
    assert (rig.folder / STDOUT).read_bytes() == b"caf\xe9\0\r\n"


def test_much_output_arrives_in_whole(rig: Rig) -> None:
    rig.run("seq 200000; seq 200000 >&2")
    whole = "".join(f"{i}\n" for i in range(1, 200001))
    assert (rig.stdout, rig.stderr) == (whole, whole)


def test_files_are_the_callers(rig: Rig) -> None:
    rig.run("id -u; id -g; echo > file; mkdir -p deep/er")
    assert rig.stdout.split() == [str(os.getuid()), str(os.getgid())]
    for name in ("file", "deep/er"):
        assert (rig.folder / name).stat().st_uid == os.getuid()
        assert (rig.folder / name).stat().st_gid == os.getgid()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be another user")
def test_files_are_the_callers_who_is_not_root(rig: Rig) -> None:
    os.chown(rig.folder, 1234, 1235)
    asked = options(
        Container(image=rig.image),
        Command(name="run", argv=("touch", "file"), env={}),
        folder=rig.folder,
        devices=(),
    )
    container = rig.client.containers.create(rig.image, **{**asked, "user": "1234:1235"})
    container.start()
    assert container.wait()["StatusCode"] == 0
    container.remove()
    status = (rig.folder / "file").stat()
    assert (status.st_uid, status.st_gid) == (1234, 1235)


def test_mounts_are_read_only_unless_for_writing(rig: Rig, tmp_path: Path) -> None:
    for name in ("data", "scratch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name, encoding="utf-8")
    mounts = (
        Mount(source=tmp_path / "data", target="/data"),
        Mount(source=tmp_path / "scratch", target="/scratch", read_only=False),
    )
    said, complaint = rig.run("cat /*/file; echo > /scratch/new; echo > /data/new || true", mounts=mounts)
    assert said == "datascratch"
    assert "Read-only file system" in complaint
    assert (tmp_path / "scratch/new").exists()
    assert not (tmp_path / "data/new").exists()


def test_a_mount_that_is_missing_is_refused(rig: Rig, tmp_path: Path) -> None:
    said = rig.failure("true", mounts=(Mount(source=tmp_path / "missing", target="/data"),))
    assert said.startswith("step 'run': its container cannot start: ")
    assert "bind source path does not exist" in said
    assert not (tmp_path / "missing").exists()


# Fields of /proc/self/status that say what a process may do.
STATUS = "grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs|Seccomp:' /proc/self/status"


def test_a_container_may_do_the_least(rig: Rig) -> None:
    status = dict(line.split(":\t") for line in rig.run(STATUS)[0].splitlines())
    assert {status[f"Cap{name}"] for name in ("Prm", "Eff", "Bnd")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_a_container_may_do_what_is_named(rig: Rig) -> None:
    said = rig.run(STATUS, privileges=("cap_add=SYS_NICE", "seccomp=unconfined"))[0]
    status = dict(line.split(":\t") for line in said.splitlines())
    assert int(status["CapBnd"], 16) == 1 << 23
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "0")


def test_a_container_has_no_network(rig: Rig) -> None:
    assert rig.run("ls /sys/class/net")[0].split() == ["lo"]


def test_a_container_has_the_network_of_the_host_where_it_is_named(rig: Rig) -> None:
    here = sorted(name for _, name in socket.if_nameindex())
    said = rig.run("tail -n +3 /proc/net/dev | cut -d: -f1", privileges=("network=host",))[0]
    assert sorted(said.split()) == here


@pytest.mark.parametrize("word", ["cap_add=ALL", "cap_add=", "privileged", "seccomp=profile.json"])
def test_a_harness_that_asks_for_an_unknown_privilege_is_refused(word: str, tmp_path: Path) -> None:
    container = Container(image="i", privileges=("cap_add=SYS_NICE", word))
    step = Command(name="run", argv=("true",), env={})
    with pytest.raises(ConfigurationError, match=f"^privileges: found '{word}', allowed: 46 names"):
        options(container, step, folder=tmp_path, devices=())


@pytest.mark.parametrize(("size", "found"), [(None, 64 * 1024), (256 * 2**20, 256 * 1024)])
def test_shared_memory_has_its_size(size: int | None, found: int, rig: Rig) -> None:
    said = rig.run("df -k /dev/shm | tail -n 1", shm_bytes=size)[0]
    assert int(said.split()[1]) == found


NATIVE = "a crash of native code, such as an answer to LoadGen with a wrong id or address, or after the end"

# The first step, what is said of its end, and the hint.
ENDS = {
    "silence": ("exit 3", "exited with 3", "it said nothing", ""),
    "words": ("echo no model >&2; exit 2", "exited with 2", "no model", ""),
    "crash": (
        "kill -11 $$",
        "exited with 139 (which is 128 + SIGSEGV)",
        "it said nothing",
        f" ({NATIVE})",
    ),
    "kill": (
        "kill -9 $$",
        "exited with 137 (which is 128 + SIGKILL)",
        "it said nothing",
        " (out of memory? The kernel's log says so (dmesg))",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_step_that_fails_says_how_it_ended_and_its_last_words(name: str, rig: Rig) -> None:
    script, ended, words, hint = ENDS[name]
    said = rig.failure(script, "echo > second")
    assert said.startswith(f"stderr.txt: step 'run' {ended} after ")
    assert said.endswith(f" s: {words}{hint}")
    assert not (rig.folder / "second").exists()


def test_a_program_that_is_missing_is_named(rig: Rig) -> None:
    argv = ("no-such-program", "--help")
    step = Command(name="run", argv=argv, env={}, container=Container(image=rig.image))
    with pytest.raises(RunError, match=r"exited with 127 .*no-such-program"):
        rig.run_steps(step, limit=limit(60))
    assert rig.left() == []


@contextmanager
def meanwhile(rig: Rig, act: Any) -> Iterator[None]:
    """Do something to the container once it has said its first word."""
    thread = threading.Thread(target=lambda: act(rig.running()))
    thread.start()
    yield
    thread.join()


# A gigabyte of the shell's own memory. It waits for the limit first.
GREEDY = "echo ready; while [ ! -e go ]; do sleep 0.05; done; "
EATER = "x=0123456789abcdef; for i in $(seq 26); do x=$x$x; done"


@pytest.mark.parametrize(("script", "code"), [(EATER, "137"), (f"({EATER}); exit 0", "0")])
def test_a_step_that_runs_out_of_memory_says_so(script: str, code: str, rig: Rig) -> None:
    def limit(container: Any) -> None:
        container.update(mem_limit="64m", memswap_limit="64m")
        (rig.folder / "go").touch()

    with meanwhile(rig, limit):
        said = rig.failure(GREEDY + script)
    assert f": step 'run' ran out of memory, and exited with {code} after " in said
    assert said.endswith(" (the kernel killed a program in its container)")


def test_output_comes_as_it_is_said(rig: Rig) -> None:
    seen = []

    def look(_: Any) -> None:
        seen.append(rig.stdout)
        (rig.folder / "go").touch()

    with meanwhile(rig, look):
        rig.run(GREEDY + "echo done")
    assert seen == ["ready\n"]
    assert rig.stdout == "ready\ndone\n"


def test_a_container_says_whose_it_is(rig: Rig) -> None:
    seen = []

    def look(container: Any) -> None:
        seen.append((container.name, container.labels, container.attrs))
        (rig.folder / "go").touch()

    with meanwhile(rig, look):
        rig.run(GREEDY)
    for name in ("go", STDOUT):
        (rig.folder / name).unlink()
    with meanwhile(rig, look):
        rig.execute(GREEDY, container=Container(image=rig.image), case=rig.folder.parent.name)
    [(name, labels, attributes), (_, of_attempt, _)] = seen
    assert re.fullmatch(r"pytest-mlperf-case-A2_TRT_99\.9-[0-9a-f]{8}", name)
    assert (labels[CASE], labels[SESSION]) == (rig.folder.name, str(rig.folder.parent))
    above = rig.folder.parent
    assert (of_attempt[CASE], of_attempt[SESSION]) == (above.name, str(above.parent))
    assert json.loads(labels[reaping.LABEL]) == asdict(this_process())
    assert [mount["Source"] for mount in attributes["Mounts"]] == [str(rig.folder)]


def test_the_time_limit_is_for_all_steps_together(rig: Rig) -> None:
    # Each of them is well below the limit, also where a container is slow to start.
    said = rig.failure("sleep 4", "echo busy >&2; exec sleep 6", "echo > third", time_limit_s=8)
    assert said == (
        "stderr.txt: step 'score' was killed at the time limit of 8.0 s: busy "
        "(is it stuck, or is time_limit_s in the matrix too short?)"
    )
    assert not (rig.folder / "third").exists()


def test_at_the_time_limit_a_step_is_told_to_end_first(rig: Rig) -> None:
    rig.failure("trap 'echo told; exit 0' TERM; while :; do sleep 0.1; done", time_limit_s=2)
    assert rig.stdout == "told\n"


def test_who_does_not_end_when_told_is_killed(rig: Rig) -> None:
    started = time.monotonic()
    rig.failure("trap '' TERM; while :; do sleep 0.1; done", time_limit_s=1)
    assert 5 < time.monotonic() - started < 5 + PATIENCE_S


def test_an_interrupt_leaves_no_container(rig: Rig) -> None:
    # Tests that were started in the background ignore interrupts.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with meanwhile(rig, lambda _: os.kill(os.getpid(), signal.SIGINT)), pytest.raises(KeyboardInterrupt):
            rig.run("echo ready; exec sleep 600")
    finally:
        signal.signal(signal.SIGINT, usual)
    assert rig.left() == []


@pytest.mark.usefixtures("engine_alone")
def test_who_was_killed_is_reaped_by_the_next(rig: Rig, tmp_path: Path) -> None:
    orphaned = replace(rig, folder=tmp_path / "orphaned")
    orphaned.folder.mkdir()
    program = [sys.executable, container_owner.__file__, str(orphaned.folder), rig.image]
    with subprocess.Popen(program) as process:
        deadline = time.monotonic() + PATIENCE_S
        while not any(container.status == "running" for container in rig.left()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    [orphan] = rig.left()
    assert orphan.status == "running"
    notices: list[str] = []
    containers = Containers(engine.detect)
    for _ in range(2):
        rig.execute(
            "true", container=Container(image=rig.image), containers=containers, notice=notices.append
        )
    assert notices == [f"removed what killed processes left: {orphan.name}"]
    assert rig.left() == []


@pytest.mark.usefixtures("engine_alone")
def test_only_who_is_surely_dead_is_reaped(rig: Rig) -> None:
    me = this_process()
    assert me.started is not None
    with subprocess.Popen([sys.executable, "--version"]) as process:
        ended = process.pid
        time.sleep(0.2)  # ended, and nobody has asked how: it still has its number
        dead = [
            owned(rig, pid=ended),
            owned(rig, started=me.started - 1),
            owned(rig, boot=str(uuid.uuid4())),
            owned(rig, boot=str(uuid.uuid4()), pid_namespace="pid:[1]"),
        ]
        spared = [
            owned(rig),
            owned(rig, uid=me.uid + 1, started=1),
            owned(rig, host="elsewhere", boot=str(uuid.uuid4())),
            owned(rig, pid_namespace="pid:[1]", started=1),
            *(
                rig.client.containers.create(rig.image, entrypoint=["true"], labels=labels)
                for labels in ({SESSION: str(rig.folder.parent)}, {reaping.LABEL: "{}"}, {reaping.LABEL: "x"})
            ),
        ]
        try:
            assert set(reaping.reap(rig.client)) == {container.name for container in dead}
            left = {container.id for container in rig.client.containers.list(all=True)}
            assert left & {container.id for container in (*spared, *dead)} == {c.id for c in spared}
        finally:
            for container in spared:
                container.remove(force=True)


def test_an_image_is_found_by_its_name(rig: Rig) -> None:
    found = Containers(engine.detect).find_image(rig.image)
    assert found == rig.client.images.get(rig.image).id
    assert found is not None
    assert re.fullmatch("sha256:[0-9a-f]{64}", found)
    rig.execute("echo by digest", container=Container(image=found))
    assert rig.stdout == "by digest\n"


@pytest.mark.parametrize("name", ["no-such-image:1", "registry.invalid/no/such", "UPPER case"])
def test_an_image_that_is_missing_is_not_pulled(name: str, rig: Rig) -> None:
    if name == "UPPER case":
        with pytest.raises(HostError):
            Containers(engine.detect).find_image(name)
    else:
        assert Containers(engine.detect).find_image(name) is None
    with pytest.raises(RunError, match="step 'run': its container cannot start: "):
        rig.execute("true", container=Container(image=name))


def test_gpus_are_given_by_uuid(rig: Rig) -> None:
    requested = []

    def look(container: Any) -> None:
        requested.extend(container.attrs["HostConfig"]["DeviceRequests"])
        (rig.folder / "go").touch()

    devices = (GPU, replace(GPU, uuid="GPU-77"))
    try:
        rig.execute("true", container=Container(image=rig.image), devices=devices)
    except RunError as error:
        needed(
            f"a stand-in of NVIDIA's hook, for GPUs that are not there: {error}", command=".ci/docker start"
        )
    with meanwhile(rig, look):
        rig.execute(GREEDY + "env", container=Container(image=rig.image), devices=devices)
    [request] = requested
    assert (request["DeviceIDs"], request["Count"]) == (["GPU-5a1f", "GPU-77"], 0)
    assert request["Capabilities"] == [["gpu"]]
    # As the engine's own code has it from the request: nobody else sets it.
    [visible] = [line for line in rig.stdout.splitlines() if line.startswith("NVIDIA_VISIBLE_DEVICES")]
    assert visible == "NVIDIA_VISIBLE_DEVICES=GPU-5a1f,GPU-77"


def test_who_has_no_gpus_asks_for_none(rig: Rig) -> None:
    assert "NVIDIA_VISIBLE_DEVICES" not in rig.run("env")[0]


def test_an_engine_that_cannot_give_devices_says_what_it_needs(rig: Rig) -> None:
    absent = docker.types.DeviceRequest(driver="absent", device_ids=["GPU-5a1f"], capabilities=[["gpu"]])
    container = owned(rig, device_requests=[absent])
    with pytest.raises(RunError) as caught, refusals("run"):
        container.start()
    assert str(caught.value) == (
        "step 'run': its container cannot start: could not select device driver \"absent\" "
        "with capabilities: [[gpu]] (the engine needs the NVIDIA Container Toolkit)"
    )


def test_a_jetson_module_needs_the_runtime_too(rig: Rig) -> None:
    with pytest.raises(RunError, match=r"\(the engine needs the NVIDIA Container Toolkit\)"):
        rig.execute("true", container=Container(image=rig.image), devices=(ORIN,))
    assert rig.left() == []


@pytest.mark.parametrize("device", [GPU, ORIN], ids=["by UUID", "Jetson"])
def test_podman_is_not_asked_for_gpus(device: Device, rig: Rig) -> None:
    found = replace(engine.detect(), name="Podman")
    with pytest.raises(RunError, match="step 'run': Podman ignores requests for GPUs"):
        rig.execute(
            "true",
            container=Container(image=rig.image),
            containers=Containers(lambda: found),
            devices=(device,),
        )


def test_podman_is_not_asked_for_a_mount_that_is_missing(rig: Rig, tmp_path: Path) -> None:
    found = replace(engine.detect(), name="Podman")
    missing = tmp_path / "missing"
    with pytest.raises(RunError, match=f"step 'run': {missing}: cannot be mounted: not there"):
        rig.execute(
            "true",
            container=Container(image=rig.image, mounts=(Mount(source=missing, target="/data"),)),
            containers=Containers(lambda: found),
        )
    assert not missing.exists()


def asked_for(devices: Sequence[Device], folder: Path) -> Mapping[str, Any]:
    step = Command(name="run", argv=("true",), env={})
    asked = options(Container(image="i"), step, folder=folder, devices=devices)
    return {key: asked[key] for key in ("runtime", "device_requests", "devices", "group_add")}


def test_gpus_are_asked_for_by_uuid(tmp_path: Path) -> None:
    asked = asked_for((GPU, replace(GPU, uuid="GPU-77")), tmp_path)
    [request] = asked["device_requests"]
    assert (request["DeviceIDs"], request["Count"]) == (["GPU-5a1f", "GPU-77"], 0)
    assert request["Capabilities"] == [["gpu"]]
    assert (asked["runtime"], asked["devices"]) == (None, [])


def test_without_devices_nothing_is_asked_for(tmp_path: Path) -> None:
    assert asked_for((), tmp_path) == {"runtime": None, "device_requests": [], "devices": [], "group_add": []}


@pytest.mark.skipif(Path("/dev/kfd").exists(), reason="has AMD's driver")
def test_a_device_file_that_is_missing_is_named(tmp_path: Path) -> None:
    device = Device(vendor="AMD", name="MI300X", uuid="1", render_node="renderD128")
    with pytest.raises(RunError, match=r"/dev/kfd: cannot be given to a container: No such file"):
        asked_for((device,), tmp_path)


def test_an_engine_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = Engine(address="unix:///e.sock", problem="unix:///e.sock: not there")
    with pytest.raises(HostError, match=r"^unix:///e.sock: not there$"):
        Containers(lambda: found).find_image("i")
    step = Command(name="run", argv=("true",), env={}, container=Container(image="i"))
    with pytest.raises(HostError, match=r"^unix:///e.sock: not there$"):
        Containers(lambda: found).execute(step, tmp_path, Terms(limit=limit(1)))


class Relay:
    """A socket that leads to the engine, until it is cut."""

    def __init__(self, path: Path, engine_path: str) -> None:
        self._ends: list[socket.socket] = []
        self._engine_path = engine_path
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for end in (self._server, *self._ends):
            end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for end in (self._server, *self._ends):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near = self._server.accept()[0]
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._engine_path)
            self._ends += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_an_engine_that_is_lost_is_not_an_end_of_the_step(rig: Rig, tmp_path: Path) -> None:
    scheme, _, path = engine.detect().address.partition("://")
    if scheme != "unix":
        pytest.skip("the engine has no socket of this machine")
    relay = Relay(tmp_path / "e.sock", path)
    found = replace(engine.detect(), address=f"unix://{tmp_path / 'e.sock'}")
    with meanwhile(rig, lambda _: relay.cut()), pytest.raises(HostError) as caught:
        rig.execute(
            "echo ready; exec sleep 600",
            container=Container(image=rig.image),
            containers=Containers(lambda: found),
        )
    relay.close()
    gc.collect()  # a socket that was left open is warned about here and now
    assert str(caught.value) == (
        f"{found.address}: lost the container engine "
        "(did it end? Containers may run on: `docker ps --filter label=pytest-mlperf.case`)"
    )
    assert [container.status for container in rig.left()] == ["running"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_output_that_cannot_be_written_is_an_error_and_is_listened_to(tmp_path: Path) -> None:
    (tmp_path / STDOUT).symlink_to("/dev/full")
    engine_end, end = socket.socketpair()
    output = Output(end, tmp_path)
    with engine_end:
        for stream, piece in ((1, b"lost"), (2, b"kept"), (1, b"lost too"), (2, b", all")):
            engine_end.sendall(struct.pack(">BxxxL", stream, len(piece)) + piece)
    with pytest.raises(RunError, match=r"stdout.txt: cannot write the output: No space left on device"):
        output.finish()
    assert (tmp_path / STDERR).read_bytes() == b"kept, all"
