# SPDX-License-Identifier: Apache-2.0
"""The simulation as a Keras model: linked layers, saved and loaded by plain Keras."""

from collections.abc import Iterator
from typing import Any

import keras

from lowbit.errors import FileFormatError, InputError
from lowbit.quantizers.activation import TensorQuantizer
from lowbit.simulation.base import SimulatedLayer
from lowbit.spec import Spec

FORMAT = 1
"""Version of the saved form; raised when a saved simulation would load differently."""


@keras.saving.register_keras_serializable("lowbit")
class Simulation(keras.Model):
    """A functional Keras model whose layers are simulated operations.

    `fit` trains it quantization-aware; `predict` computes the codes of the exported file. It is
    saved with `save("sim.keras")` or `.h5` and loaded with `keras.models.load_model`.
    """

    spec: Spec

    def connect(self, spec: Spec) -> "Simulation":
        """Link every layer to the quantizers of its inputs; called once the graph is built."""
        self.spec = spec
        made_by: dict[int, TensorQuantizer | None] = {}
        outputs = {id(tensor) for tensor in self.outputs}
        for layer, inputs, output in self.graph():
            layer.link([made_by.get(tensor) for tensor in inputs], is_output=output in outputs)
            made_by[output] = layer.tensor_quantizer()
        return self

    def graph(self) -> Iterator[tuple[SimulatedLayer, list[int], int]]:
        """(layer, ids of its input tensors, id of its output tensor) in running order."""
        for depth in sorted(self._nodes_by_depth, reverse=True):
            for node in self._nodes_by_depth[depth]:
                if not node.is_input:
                    inputs = [id(tensor) for tensor in node.input_tensors]
                    yield node.operation, inputs, id(node.output_tensors[0])

    def input_edges(self) -> dict[str, SimulatedLayer]:
        """By the name of an input, the layer that quantizes it; none for an input that only float layers read."""
        names = {id(tensor): tensor.name for tensor in self.inputs}
        return {names[inputs[0]]: layer for layer, inputs, _ in self.graph() if layer.is_edge and inputs[0] in names}

    def with_unrounded_outputs(self) -> keras.Model:
        """The same layers and weights, but a softmax, sigmoid or tanh at the output is not rounded.

        The file rounds probabilities to 1/256; one that becomes 0 has an infinite log loss, which says nothing of
        the weights. So training and early stopping look at the probabilities before that.
        """
        outputs = [
            layer.unrounded(tensor) if hasattr(layer := tensor._keras_history.operation, "unrounded") else tensor
            for tensor in self.outputs
        ]
        return keras.Model(self.input, outputs[0] if len(outputs) == 1 else outputs, name=f"{self.name}_unrounded")

    def simulated_layers(self) -> list[SimulatedLayer]:
        return [layer for layer, _, _ in self.graph()]

    def quantizers(self) -> dict[str, TensorQuantizer]:
        """Every activation quantizer by the name of its layer."""
        found: dict[str, TensorQuantizer] = {}
        for layer in self.simulated_layers():
            own = layer.own_quantizers()
            for quantizer in own:
                name = layer.name if quantizer is own[-1] else f"{layer.name}/{quantizer.name}"
                found[name] = quantizer
        return found

    def require_calibrated(self) -> None:
        """Raises InputError when an activation range has never been set."""
        missing = [name for name, quantizer in self.quantizers().items() if not quantizer.is_calibrated()]
        if missing:
            raise InputError(
                received=f"a simulation without ranges for {len(missing)} tensors, {missing[0]!r} first",
                expected="a calibrated simulation",
                mend="call lowbit.calibrate(sim, batches), or fit it for a step, before predicting",
            )

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        self.require_calibrated()
        return super().predict(*args, **kwargs)

    def predict_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        self.require_calibrated()
        return super().predict_on_batch(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("_use_cached_eval_dataset") is None:
            self.require_calibrated()
        return super().evaluate(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"lowbit_format": FORMAT, "spec": self.spec.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Simulation":
        config = dict(config)
        version, spec = config.pop("lowbit_format", None), config.pop("spec", None)
        if version != FORMAT or spec is None:
            raise FileFormatError(
                received=f"a saved simulation of format {version}",
                expected=f"format {FORMAT}",
                mend="save it again with this version of lowbit",
            )
        simulation: Simulation = super().from_config(config, custom_objects=custom_objects)
        return simulation.connect(Spec.parse(spec))


def require_model(received: object, kind: type, words: str) -> None:
    """Raises InputError when a caller passes something else than a model of that kind."""
    if not isinstance(received, kind):
        what = f"{type(received).__name__} {repr(received)[:80]}"
        raise InputError(received=what, expected=words, mend="pass the model itself")


# Keras's .h5 writer stores the bare class name instead of the registered one.
keras.saving.get_custom_objects()["Simulation"] = Simulation
