# SPDX-License-Identifier: Apache-2.0
"""What a user does, from training to files, on the backend that KERAS_BACKEND names: `python flow.py FOLDER`.

The folder holds `every_layer.keras`, a saved simulation of every layer with an integer form. Each step checks itself;
the last line of stdout is JSON with what the caller compares. TensorFlow cannot be imported here.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

import lowbit
from lowbit.errors import UnsupportedError
from lowbit.export import export_variant, parity
from lowbit.qat import fit as fit_simulation
from lowbit.training import fit
from lowbit.zoo import load_file, load_model, save_model

STEPS = 8


class NoTensorFlow:
    """As where it is not installed; a finder of the import system (PEP 451)."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class Branching(keras.Model):
    """Python control flow on values, which only TensorFlow's tracing takes."""

    def call(self, x):
        return x * 2.0 if x[0, 0] > 0 else x


def main(folder: Path) -> None:
    refuses_python_control_flow(folder)
    digits = lowbit.load_dataset("digits", preprocess="0..1")
    model = load_model("small_cnn", inputs=digits.inputs, classes=10, seed=0).model
    train = [(x["image"], y) for x, y in digits.train.batches(32)][:STEPS]
    validation = [(x["image"], y) for x, y in digits.validation.batches(64)]
    history = fit(model, train, validation, epochs=2, learning_rate=1e-2, batch_norm="reestimate")
    assert history.logs["loss"][-1] < history.logs["loss"][0]

    simulation = lowbit.quantize_model(model, "w8a8", calibration=[x for x, _ in train])
    require_one_answer(simulation, validation[0][0])
    x, y = (np.concatenate(parts) for parts in zip(*train))
    kernel = weights_of(simulation)
    simulation.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    losses = simulation.fit(x, y, epochs=2, batch_size=32, shuffle=False, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    assert not np.array_equal(kernel, weights_of(simulation))
    fit_simulation(simulation, train, validation, epochs=1, learning_rate=1e-3)
    require_one_answer(simulation, validation[0][0])

    save_model(simulation, folder / "trained.keras")
    loaded = load_file(folder / "trained.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), simulation.predict(x, verbose=0))
    written = lowbit.export(loaded, folder / "trained.tflite", parity=[validation[0][0][:16]])
    assert (written.parity.worst_equal, written.parity.missing) == (1.0, ()), written.parity.worst_tensor
    floats = export_variant(model, folder / "float16.tflite", "float16")
    assert lowbit.evaluate(floats.path, digits).accuracy > 0.2

    every = keras.models.load_model(folder / "every_layer.keras")
    file = lowbit.export(every, folder / "every_layer.tflite")
    images = np.random.default_rng(1).uniform(0, 255, (16, 16, 16, 3)).astype("float32")
    require_one_answer(every, images)
    found = parity(every, file.path, [images])
    unequal = [(tensor.name, tensor.op, tensor.equal) for tensor in found.per_tensor if tensor.equal < 1]
    assert (unequal, found.tensors) == ([], 22)
    print(json.dumps({"backend": keras.backend.backend(), "sha256": file.sha256}))


def refuses_python_control_flow(folder: Path) -> None:
    model = Branching()
    model(np.ones((1, 8), "float32"))
    try:
        export_variant(model, folder / "branching.tflite", "float32", input_shape=(8,))
    except UnsupportedError as error:
        assert f"on {keras.backend.backend()}" in str(error) and "KERAS_BACKEND=tensorflow" in str(error)
    else:
        raise AssertionError("a model of Python control flow was exported")
    try:
        lowbit.quantize_model(model, input_shape=(8,))
    except UnsupportedError as error:
        assert "can be made as it is, with KERAS_BACKEND=tensorflow" in str(error)
    else:
        raise AssertionError("a model of Python control flow was traced")


def weights_of(simulation: keras.Model) -> np.ndarray:
    """A copy of the first kernel."""
    return np.array(keras.ops.convert_to_numpy(simulation.get_layer("stem_conv").layer.kernel))


def require_one_answer(simulation: keras.Model, x: np.ndarray) -> None:
    """An eager call and the compiled `predict` give the same numbers to the last bit."""
    eager = keras.ops.convert_to_numpy(simulation(x, training=False))
    assert np.array_equal(eager, simulation.predict(x, verbose=0))


if __name__ == "__main__":
    sys.meta_path.insert(0, NoTensorFlow())
    main(Path(sys.argv[1]))
