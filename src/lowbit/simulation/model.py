# SPDX-License-Identifier: Apache-2.0
"""The simulation as a Keras model: linked layers, saved and loaded by plain Keras."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import tree

from lowbit.errors import FileFormatError, InputError
from lowbit.quantizers import Mode, current_mode, ranges_stand_still, tracing_for_xla
from lowbit.quantizers.tensor import TensorQuantizer
from lowbit.simulation.base import SimulatedLayer
from lowbit.simulation.fitting import (
    FiniteCheck,
    keep_ranges_from_decaying,
    require_compiles_here,
    require_trainable_here,
    scaled,
)
from lowbit.simulation.passing import Identity
from lowbit.simulation.sharing import shared_scales
from lowbit.spec import Spec

FORMAT = 2
"""Version of the saved form; raised when a saved simulation would load differently."""


@keras.saving.register_keras_serializable("lowbit")
class Simulation(keras.Model):
    """A functional Keras model whose layers are simulated operations.

    `fit` trains it quantization-aware; `predict` computes the codes of the exported file. It is
    saved with `save("sim.keras")` or `.h5` and loaded with `keras.models.load_model`.
    """

    trains_with_xla = False
    """Whether training steps are compiled by XLA, on TensorFlow; inference never is."""

    spec: Spec
    original: str | None = None
    """The float model's configuration in JSON, where it has one (see `strip`)."""

    def connect(
        self, spec: Spec, original: str | None = None, output_names: Sequence[str] | None = None
    ) -> "Simulation":
        """Link every layer to the quantizers of its inputs; called once the graph is built.

        `output_names`: what the float model calls its outputs, by which losses and metrics are named too.
        """
        self.spec, self.original = spec, original
        if output_names is not None and len(output_names) == len(self.outputs):
            self.output_names = list(output_names)
        self.dtype_policy = "float32"  # whatever the global policy
        outputs = {id(tensor) for tensor in self.outputs}
        shared = shared_scales([(layer, use, inputs, output) for layer, use, inputs, output in self._calls()])
        made_by: dict[int, TensorQuantizer | None] = {}
        for layer, use, _, output in self._calls():
            layer.select(use)
            if output in shared:
                owner, owner_use = shared[output]
                if (owner, owner_use) != (layer, use):
                    owner.select(owner_use)
                    layer.link((), shared=owner.output_quantizers[owner_use])
        in_file: dict[int, int] = {}
        for layer, inputs, output in self.graph():
            sources = [made_by.get(tensor) for tensor in inputs]
            tensors = [in_file.get(tensor, tensor) for tensor in inputs]
            is_one = len(tensors) > 1 and len(set(tensors)) == 1
            layer.link(sources, is_output=output in outputs, shared=layer.shared_quantizer(), is_one_tensor=is_one)
            if isinstance(layer, Identity):
                in_file[output] = tensors[0]
            made_by[output] = layer.tensor_quantizer()
        return self

    def _calls(self) -> Iterator[tuple[SimulatedLayer, int, list[int], int]]:
        for depth in sorted(self._nodes_by_depth, reverse=True):
            for node in self._nodes_by_depth[depth]:
                if not node.is_input:
                    inputs = [id(tensor) for tensor in node.input_tensors]
                    yield node.operation, node.arguments.kwargs.get("use", 0), inputs, id(node.output_tensors[0])

    def graph(self) -> Iterator[tuple[SimulatedLayer, list[int], int]]:
        """(layer, ids of its input tensors, id of its output tensor) in running order.

        A layer with several uses comes once for each, and that use is selected while it is looked at.
        """
        for layer, use, inputs, output in self._calls():
            layer.select(use)
            yield layer, inputs, output

    def edges(self) -> dict[str, SimulatedLayer]:
        """By the name of a float tensor of the file, the layer that quantizes it."""
        names = {id(tensor): tensor.name for tensor in self.inputs}
        found = {}
        for layer, inputs, output in self.graph():
            if layer.is_edge:
                found[names[inputs[0]]] = layer
            else:
                names[output] = names[inputs[0]] if isinstance(layer, Identity) else layer.tensor_name
        return found

    def input_edges(self) -> dict[str, SimulatedLayer]:
        """By the name of an input, the layer that quantizes it; none for an input that only float layers read."""
        names = {tensor.name for tensor in self.inputs}
        return {name: layer for name, layer in self.edges().items() if name in names}

    def edge_bits(self) -> int:
        """The most bits that an input or output of the file has."""
        ends = [*self.input_edges().values(), *(tensor._keras_history.operation for tensor in self.outputs)]
        return max(layer.activation_bits for layer in ends)

    def with_unrounded_outputs(self) -> keras.Model:
        """The same layers and weights, but a softmax, sigmoid or tanh at the output is not rounded.

        The file rounds probabilities to 1/256; one that becomes 0 has an infinite log loss, which says nothing of
        the weights. So training and early stopping look at the probabilities before that.
        """

        def unrounded(tensor: Any) -> Any:
            layer = tensor._keras_history.operation
            return layer.unrounded(tensor) if hasattr(layer, "unrounded") else tensor

        outputs = tree.map_structure(unrounded, self._outputs_struct)
        model = keras.Model(self._inputs_struct, outputs, name=f"{self.name}_unrounded")
        model.output_names = self.output_names
        return model

    def simulated_layers(self) -> list[SimulatedLayer]:
        """Each layer once, in running order."""
        return list(dict.fromkeys(layer for layer, _, _ in self.graph()))

    def quantizers(self) -> dict[str, TensorQuantizer]:
        """Every activation quantizer by the name of its tensor."""
        found: dict[str, TensorQuantizer] = {}
        for layer, _, _ in self.graph():
            own = layer.own_quantizers()
            for quantizer in own:
                is_last = quantizer is own[-1] and quantizer is layer.tensor_quantizer()
                name = layer.tensor_name if is_last else f"{layer.tensor_name}/product"
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

    def compile(
        self,
        optimizer: Any = "rmsprop",
        *args: Any,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        **kwargs: Any,
    ) -> None:
        """As Keras's, but on TensorFlow `jit_compile=True` is for training steps alone.

        XLA rounds otherwise, so predictions and evaluation would not be the file's.

        Raises:
            InputError: the process is set up for a training that cannot work (see docs/training.md).
        """
        if jit_compile not in (True, False, "auto"):
            raise InputError(
                received=f"jit_compile={jit_compile!r}", expected="True, False or 'auto'", mend="leave it out"
            )
        steps = kwargs.get("steps_per_execution", 1)
        require_compiles_here(self, jit_compile=jit_compile is True, steps_per_execution=steps)
        self.trains_with_xla = jit_compile is True and keras.backend.backend() == "tensorflow"
        has_half_products = any(getattr(layer, "product_dtype", None) == "float16" for layer in self.layers)
        if auto_scale_loss and has_half_products:
            optimizer = scaled(optimizer)
        super().compile(optimizer, *args, jit_compile=False if self.trains_with_xla else jit_compile, **kwargs)
        if self.optimizer is not None:
            keep_ranges_from_decaying(self.optimizer, self)
            # Now, as Keras's .h5 reader would build it without variables, and lose what is saved of it.
            self.optimizer.build(self.trainable_variables)

    def get_compile_config(self) -> Any:
        config = super().get_compile_config()
        return config | {"jit_compile": True} if self.trains_with_xla else config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """As Keras's, which leaves this to models with a `compile` of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def make_train_function(self, force: bool = False) -> Any:
        require_trainable_here(self)
        if not self.trains_with_xla:
            return super().make_train_function(force)
        self._jit_compile = True  # as `jit_compile`, which does not ask whether inference would bear it
        try:
            return super().make_train_function(force)
        finally:
            self._jit_compile = False

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        with tracing_for_xla(self.trains_with_xla):
            return super().train_step(*args, **kwargs)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """As Keras's; ends with an InputError that names a layer where numbers are no longer finite."""
        check = FiniteCheck()
        if isinstance(callbacks, keras.callbacks.CallbackList):
            check.set_model(self)
            callbacks.append(check)
        else:
            callbacks = [*tree.flatten(callbacks if callbacks is not None else []), check]
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, *args, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
        with ranges_stand_still(training is False and current_mode() is Mode.SIMULATE):
            return super().call(inputs, training=training, mask=mask, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        self.require_calibrated()
        return super().predict(*args, **kwargs)

    def predict_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        self.require_calibrated()
        return super().predict_on_batch(*args, **kwargs)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        self.require_calibrated()
        return super().test_on_batch(*args, **kwargs)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """As Keras's; weights that do not fit leave this simulation's as they were.

        Raises InputError for weights of another model, or of ranges that move otherwise (tracked, learned).
        """
        before = self.get_weights()
        try:
            super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)
        except ValueError as error:
            self.set_weights(before)
            raise InputError(
                received=f"weights {filepath}, which do not fit: {' '.join(str(error).split())[:160]}",
                expected=f"those of a simulation like this one ({self.spec.name})",
                mend="load the whole simulation: keras.models.load_model; of a float model: quantize_model(model)",
            ) from error

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("_use_cached_eval_dataset") is None:
            self.require_calibrated()
        return super().evaluate(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "lowbit_format": FORMAT,
            "spec": self.spec.name,
            "original": self.original,
            "output_names": list(self.output_names),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Simulation":
        config = dict(config)
        version, spec, original, output_names = (
            config.pop(key, None) for key in ("lowbit_format", "spec", "original", "output_names")
        )
        if version != FORMAT or spec is None:
            raise FileFormatError(
                received=f"a saved simulation of format {version}",
                expected=f"format {FORMAT}",
                mend="save it again with this version of lowbit",
            )
        simulation: Simulation = super().from_config(config, custom_objects=custom_objects)
        return simulation.connect(Spec.parse(spec), original, output_names)


def require_model(received: object, kind: type, words: str) -> None:
    """Raises InputError when a caller passes something else than a model of that kind."""
    if not isinstance(received, kind):
        what = f"{type(received).__name__} {repr(received)[:80]}"
        is_float = kind is Simulation and isinstance(received, keras.Model)
        mend = "make it with lowbit.quantize_model(model)" if is_float else "pass the model itself"
        raise InputError(received=what, expected=words, mend=mend)
    if isinstance(received, Simulation) and not hasattr(received, "spec"):
        raise InputError(
            received=f"a copy of the simulation {received.name!r} that keras.models.clone_model made",
            expected="a simulation with its bits and ranges",
            mend="save it and load it with keras.models.load_model",
        )


# Keras's .h5 writer stores the bare class name instead of the registered one.
keras.saving.get_custom_objects()["Simulation"] = Simulation
