"""NVIDIA devices, through NVML."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_mlperf.errors import HostError
from pytest_mlperf.hardware import Device

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Nvml:
    """The devices that NVIDIA's driver lists."""

    def detect(self) -> tuple[Device, ...]:
        """Return the devices, none without a driver. Raises HostError when the driver does not answer."""
        import pynvml  # noqa: PLC0415  only wanted where hardware is asked about

        try:
            pynvml.nvmlInit()
        except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
            return ()
        except pynvml.NVMLError as error:
            raise HostError(f"NVML: {error}", hint="does nvidia-smi work?") from error
        try:
            return tuple(_device(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
        except pynvml.NVMLError as error:
            raise HostError(f"NVML: {error}", hint="does nvidia-smi work?") from error
        finally:
            pynvml.nvmlShutdown()


def _device(nvml: Any, index: int) -> Device:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def ask(question: Callable[[Any], _T]) -> _T | None:
        with suppress(nvml.NVMLError):
            return question(handle)
        return None

    pci = ask(nvml.nvmlDeviceGetPciInfo)
    memory = ask(nvml.nvmlDeviceGetMemoryInfo)
    limits_mw = ask(nvml.nvmlDeviceGetPowerManagementLimitConstraints)
    return Device(
        name=nvml.nvmlDeviceGetName(handle),
        uuid=ask(nvml.nvmlDeviceGetUUID),
        pci_device=f"{pci.pciDeviceId >> 16:04X}" if pci else None,
        memory_bytes=memory.total if memory else None,
        power_limit_w=limits_mw[1] / 1000 if limits_mw else None,
    )
