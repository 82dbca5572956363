"""The files of a miniature, opened: its model as a session, its evaluation set as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def open_session(model: Path) -> onnxruntime.InferenceSession:
    """Open a model on the CPU with one thread, so that a run's work does not depend on the machine's size."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def read_arrays(dataset: Path) -> Mapping[str, np.ndarray[Any, Any]]:
    """Return every array of an `.npz` file, by name."""
    # An open archive decompresses anew at each access, hence the copy into a dictionary.
    with np.load(dataset, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
