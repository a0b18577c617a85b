# SPDX-License-Identifier: Apache-2.0
"""litert-quantizer at work without its progress bars: libraries report, only the command line draws."""

import contextlib
import io
from typing import Any

from litert_quantizer import quantizer


def quantized(worker: quantizer.Quantizer, *ranges: Any) -> bytes:
    """The file that `worker` makes. Its flag for the bar does not reach the step that edits tensors."""
    with contextlib.redirect_stderr(io.StringIO()):
        result = worker.quantize(*ranges, enable_progress_report=False, enable_progress_bar=False)
    return bytes(result.quantized_model)
