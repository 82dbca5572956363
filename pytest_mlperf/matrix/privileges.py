"""What a container may do beyond the least, word by word: `cap_add=SYS_ADMIN`, `network=host`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.errors import ConfigurationError, Problem
from pytest_mlperf.matrix.problems import not_among

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# include/uapi/linux/capability.h of Linux 6.1, in its order.
_CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)
_CAPABILITY = "cap_add="
_UNCONFINED = ("seccomp=unconfined", "apparmor=unconfined")
_NETWORK = "network="
_LEAST = "network=none"
_NETWORKS = ("network=host", "network=bridge", _LEAST)

WORDS = (*(_CAPABILITY + name for name in _CAPABILITIES), *_UNCONFINED, *_NETWORKS)


@dataclass(frozen=True, kw_only=True)
class Privileges:
    """What a container may do: nothing that needs a capability, and no network, unless it is named."""

    capabilities: tuple[str, ...] = ()
    unconfined: tuple[str, ...] = ()
    network: str = "none"


def problems(words: Sequence[str]) -> Iterator[tuple[int | None, str, str | None]]:
    """Give what is wrong with words: the index of one (None: it is of all), what, and the hint."""
    for index, word in enumerate(words):
        if word not in WORDS:
            yield index, *not_among(word, WORDS)
    for word, count in Counter(words).items():
        if count > 1:
            yield None, f"'{word}' stands here twice", None
    networks = sorted({word for word in words if word in _NETWORKS})
    if len(networks) > 1:
        yield None, f"found {' and '.join(networks)}, allowed: one", None


def read(words: Sequence[str]) -> Privileges:
    """Return what words allow. Raises ConfigurationError where one is unknown, or two exclude each other."""
    wrong = [Problem(what=f"privileges: {what}", hint=hint) for _, what, hint in problems(words)]
    if wrong:
        raise ConfigurationError(wrong)
    return Privileges(
        capabilities=tuple(word.removeprefix(_CAPABILITY) for word in words if word.startswith(_CAPABILITY)),
        unconfined=tuple(word for word in words if word in _UNCONFINED),
        network=next((word.removeprefix(_NETWORK) for word in words if word in _NETWORKS), "none"),
    )


def combined(of_step: Iterable[str], of_case: Iterable[str]) -> tuple[str, ...]:
    """Return what a step may do that needs something itself; the network of its case replaces its own."""
    asked = set(of_case)
    has_network = not asked.isdisjoint(_NETWORKS)
    return tuple(sorted(asked | {word for word in of_step if not (has_network and word in _NETWORKS)}))


def beyond_least(words: Iterable[str]) -> tuple[str, ...]:
    """Return those of the words that allow anything, sorted."""
    return tuple(sorted(set(words) - {_LEAST}))
