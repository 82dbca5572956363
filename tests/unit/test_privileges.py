"""What a step may do: what its harness needs and what its matrix allows, in one list."""

from __future__ import annotations

import pytest

from pytest_mlperf.matrix.privileges import Privileges, combined, read

# What a harness needs, what a matrix allows, and what becomes of both.
COMBINED = {
    "nothing": ((), (), ()),
    "of the harness": (("network=bridge",), (), ("network=bridge",)),
    "of the matrix": ((), ("cap_add=BPF",), ("cap_add=BPF",)),
    "of both": (
        ("network=bridge", "cap_add=BPF"),
        ("cap_add=BPF", "apparmor=unconfined"),
        ("apparmor=unconfined", "cap_add=BPF", "network=bridge"),
    ),
    "another network": (
        ("network=bridge", "cap_add=BPF"),
        ("network=host",),
        ("cap_add=BPF", "network=host"),
    ),
    "no network": (("network=bridge",), ("network=none",), ("network=none",)),
}


@pytest.mark.parametrize("name", COMBINED)
def test_the_matrix_adds_and_decides_the_network(name: str) -> None:
    of_step, of_case, expected = COMBINED[name]
    assert combined(of_step, of_case) == expected


def test_words_are_read() -> None:
    assert read(()) == Privileges(capabilities=(), unconfined=(), network="none")
    words = ("apparmor=unconfined", "cap_add=SYS_ADMIN", "network=bridge")
    assert read(words) == Privileges(
        capabilities=("SYS_ADMIN",), unconfined=("apparmor=unconfined",), network="bridge"
    )
