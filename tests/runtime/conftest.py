# SPDX-License-Identifier: Apache-2.0
"""One small net as `.tflite` files of every kind, written once for all tests of this folder."""

import numpy as np
import pytest

SIZE = 12
CLASSES = 5


@pytest.fixture(scope="session")
def images():
    """Samples from -1 to 1, float32, as the files were calibrated for."""
    return np.random.default_rng(3).uniform(-1, 1, (70, SIZE, SIZE, 3)).astype("float32")


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Paths by kind: float32, w8a8 (float in and out), w8a8-io (codes in and out), w4a8, w8a16, dynamic, weight."""
    folder = tmp_path_factory.mktemp("files")
    paths = {kind: folder / f"{kind}.tflite" for kind in _rules()}
    paths["float32"] = folder / "float32.tflite"
    _write_float(paths["float32"])
    generator = np.random.default_rng(0)
    data = [{"image": generator.uniform(-1, 1, (1, SIZE, SIZE, 3)).astype("float32")} for _ in range(8)]
    for kind, rules in _rules().items():
        _quantize(paths["float32"], paths[kind], rules, data)
    return paths


def _write_float(path):
    import keras
    from keras import layers

    keras.utils.set_random_seed(5)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(image)
    x = layers.ReLU(6.0, name="relu")(layers.BatchNormalization(name="norm")(x))
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Add(name="add")([x, y]))
    model = keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="scores")(x), name="tiny")
    signature = [keras.InputSpec(shape=(1, SIZE, SIZE, 3), dtype="float32", name="image")]
    model.export(str(path), format="litert", verbose=False, input_signature=signature)


def _rules():
    """For each kind: activation bits (None: float), weight bits, weight bits of convolutions, codes at the edges."""
    return {
        "w8a8": (8, 8, 8, False),
        "w8a8-io": (8, 8, 8, True),
        "w4a8": (8, 8, 4, False),
        "w8a16": (16, 8, 8, False),
        "dynamic": (None, 8, 8, False),
        "weight": (None, 8, 8, True),
    }


def _quantize(source, path, rules, data):
    from litert_quantizer import quantizer, recipe
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import TFLOperationName as Op

    activations, weights, of_convolutions, edges = rules
    if activations is None:
        recipes = recipe.weight_only_wi8_afp32() if edges else recipe.dynamic_wi8_afp32()
        worker, ranges = quantizer.Quantizer(str(source), recipes), None
    else:
        worker = quantizer.Quantizer(str(source))
        bits = {"activation_num_bits": activations, "weight_num_bits": weights}
        worker.add_static_config(".*", Op.ALL_SUPPORTED, **bits)
        worker.add_static_config(".*", Op.CONV_2D, **{**bits, "weight_num_bits": of_convolutions})
        if not edges:
            for edge in (Op.INPUT, Op.OUTPUT):
                worker.update_quantization_recipe(".*", edge, algorithm_key=AlgorithmName.NO_QUANTIZE)
        ranges = worker.calibrate({"serving_default": data})
    worker.quantize(ranges).export_model(str(path))
