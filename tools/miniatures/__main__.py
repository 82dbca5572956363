"""Make miniatures: `python -m tools.miniatures [NAME ...]` from the repository's root; all without a name."""

from __future__ import annotations

import argparse
import importlib
import time

import torch

from pytest_mlperf.harness.onnxruntime.miniatures import MODELS
from tools.miniatures import manifest

SCRIPTS = {
    "resnet8-digits": "resnet8",
    "bert2-spans": "bert",
    "rnnt-digits": "rnnt",
    "ssd-mobilenet-digits": "ssd_mobilenet",
    "ssd-resnet-digits": "ssd_resnet",
    "dlrm-clicks": "dlrm",
    "unet3d-volumes": "unet3d",
}


def main() -> None:
    """Make the miniatures that the command line names, and write the manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(SCRIPTS)}")
    names = parser.parse_args().names or list(SCRIPTS)
    if unknown := set(names) - set(SCRIPTS):
        parser.error(f"found {', '.join(sorted(unknown))}, allowed {', '.join(SCRIPTS)}")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    MODELS.mkdir(exist_ok=True)
    for name in names:
        started = time.monotonic()
        script = importlib.import_module(f"tools.miniatures.{SCRIPTS[name]}")
        manifest.write([script.make(MODELS)], order=list(SCRIPTS))
        print(f"{name}: made in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
