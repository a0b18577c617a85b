# SPDX-License-Identifier: Apache-2.0
"""How ranges move, how much they clip, and how many weight codes change, epoch by epoch."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError, MissingExtraError
from lowbit.quantizers import ActivationQuantizer, recording
from lowbit.quantizers.affine import code_range
from lowbit.results import EpochMovement
from lowbit.simulation import Simulation, require_model
from lowbit.simulation.calibrate import model_inputs
from lowbit.simulation.weighted import WeightedLayer


class RangeReport(keras.callbacks.Callback):
    """Notes after each epoch what quantization did; in `history`, and for TensorBoard.

        report = lowbit.qat.RangeReport(samples=x[:64], log_dir="logs")
        sim.fit(x, y, epochs=20, callbacks=[report])
        movement_plot(report.history, "ranges.png")     # from lowbit.report.movement

    In TensorBoard: `range/<tensor>/low` and `high`, `clipped/<tensor>`, `changed codes/<layer>`.

    Args:
        samples: a batch on which clipped shares are measured, in a form that `lowbit.calibrate` takes; None leaves
            them out.
        log_dir: TensorBoard's folder; None writes nothing.

    Raises:
        MissingExtraError: `log_dir` without the package tensorboard.
        InputError: a `log_dir` that cannot be written; when training begins, for a model that is no simulation, or
            samples that do not fit it.
    """

    def __init__(self, *, samples: Any = None, log_dir: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        self.history: list[EpochMovement] = []
        self._samples, self._inputs = samples, None
        self._codes: Mapping[str, np.ndarray] = {}
        self._writer = None if log_dir is None else _writer(log_dir)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        require_model(self.model, Simulation, "a simulation for lowbit.qat.RangeReport")
        self._inputs = None if self._samples is None else model_inputs(self.model, self._samples)
        self.history, self._codes = [], _weight_codes(self.model)
        if not [name for name, one in self.model.quantizers().items() if not one.is_calibrated()]:
            self._note(0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._note(epoch + 1)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._writer is not None:
            self._writer.flush()

    def _note(self, epoch: int) -> None:
        codes = _weight_codes(self.model)
        changed = {name: float((codes[name] != self._codes[name]).mean()) for name in codes}
        self._codes = codes
        found = EpochMovement(
            epoch=epoch,
            ranges=_ranges(self.model),
            clipped={} if self._inputs is None else _clipped(self.model, self._inputs),
            changed=changed,
        )
        self.history.append(found)
        if self._writer is not None:
            for tag, value in _scalars(found).items():
                self._writer.add_scalar(tag, value, step=epoch)


def _writer(log_dir: str | os.PathLike[str]) -> Any:
    try:
        from tensorboard.summary import Writer
    except ImportError as error:
        raise MissingExtraError("tensorboard", "tensorboard") from error
    folder = Path(log_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Writer(os.fspath(folder))
    except OSError as error:
        raise InputError(
            received=f"log_dir={str(log_dir)!r}: {error.strerror or error}",
            expected="a folder that can be written",
            mend="choose another one, or leave log_dir out",
        ) from error


def _scalars(found: EpochMovement) -> dict[str, float]:
    values = {f"range/{name}/low": low for name, (low, _) in found.ranges.items()}
    values |= {f"range/{name}/high": high for name, (_, high) in found.ranges.items()}
    values |= {f"clipped/{name}": share for name, share in found.clipped.items()}
    return values | {f"changed codes/{name}": share for name, share in found.changed.items()}


def _ranges(simulation: Any) -> dict[str, tuple[float, float]]:
    found = {}
    for name, quantizer in simulation.quantizers().items():
        if isinstance(quantizer, ActivationQuantizer):
            low, high = (float(keras.ops.convert_to_numpy(end)) for end in quantizer.ends())
            found[name] = (low, high)
    return found


def _clipped(simulation: Any, inputs: Any) -> dict[str, float]:
    """At the upper end; at the lower one too where it is not the zero of a ReLU."""
    codes: dict[str, np.ndarray] = {}
    with recording(lambda name, values: codes.update({name: keras.ops.convert_to_numpy(values)})):
        simulation(inputs, training=False)
    found = {}
    for name, quantizer in simulation.quantizers().items():
        if name in codes and isinstance(quantizer, ActivationQuantizer):
            lowest, highest = code_range(quantizer.bits, narrow=quantizer.bits == 16)
            at_end = codes[name] == highest
            if float(keras.ops.convert_to_numpy(quantizer.ends()[0])) < 0:
                at_end |= codes[name] == lowest
            found[name] = float(at_end.mean())
    return found


def _weight_codes(simulation: Any) -> dict[str, np.ndarray]:
    """Of the unfolded kernels: batch norms may flip their signs and change no code otherwise."""
    found = {}
    for layer in simulation.simulated_layers():
        if isinstance(layer, WeightedLayer):
            kernel = layer.by_channel(layer.kernel())
            codes = layer.weight_quantizer.codes(kernel, layer.weight_scale())
            found[layer.name] = keras.ops.convert_to_numpy(codes).astype("int8")
    return found
