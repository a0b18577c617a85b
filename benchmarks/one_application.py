# SPDX-License-Identifier: Apache-2.0
"""One model of keras.applications all the way to a written file; `applications.py` runs this in a process for each.

Run: python benchmarks/one_application.py NAME RECORD.json [--trained DATA]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import lowbit
from lowbit.export.parity import parity
from lowbit.quantizers import Mode, forward_mode
from lowbit.runtime import inspect
from lowbit.simulation.fates import fates
from lowbit.training import fit
from lowbit.training.batch_norm import reestimate_batch_norm

CLASSES, CALIBRATION, COMPARED = 1000, 8, 4
SMALLEST_SIDE = {"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}
OTHERWISE = 32
MOST_NAMED = 20  # tensors below full parity

TRAINED_SIDE, TRAINED_BATCH, TRAINED_STEPS, TRAINED_CALIBRATION, TRAINED_COMPARED = 96, 16, 40, 64, 128
PREPARE_LIMIT_SECONDS = {"MobileNetV2": 5.0, "ResNet50": 10.0, "DenseNet121": 20.0}


class Record:
    """What was measured so far, in a file after each stage: a process that is ended leaves what it knew."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self.values: dict[str, Any] = {"name": name, "seconds": {}, "stage": "start"}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Wall time of a stage under its name."""
        self.values["stage"] = name
        self.write()
        started = time.perf_counter()
        yield
        self.values["seconds"][name] = round(time.perf_counter() - started, 2)

    def add(self, **values: Any) -> None:
        self.values |= values

    def write(self) -> None:
        self.values["peak_bytes"] = peak_bytes()
        self._path.write_text(json.dumps(self.values))


def peak_bytes() -> int | None:
    """Highest resident memory of this process so far; None where the kernel does not tell it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return 1024 * int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:")).split()[1])


def build(name: str, side: int, classes: int = CLASSES) -> keras.Model:
    """The model with its classifier and random weights, the same each time."""
    keras.utils.set_random_seed(0)
    function = getattr(keras.applications, name)
    return function(weights=None, input_shape=(side, side, 3), include_top=True, classes=classes)


@contextmanager
def without_dropout(model: keras.Model) -> Iterator[None]:
    """Statistics of a training pass are then those of inference: dropped blocks make the deep EfficientNets grow."""
    rates = {layer: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    for layer in rates:
        layer.rate = 0.0
    try:
        yield
    finally:
        for layer, rate in rates.items():
            layer.rate = rate


def preprocessed(name: str, pixels: np.ndarray) -> np.ndarray:
    """Pixels 0..255 as the model takes them."""
    module = sys.modules[getattr(keras.applications, name).__module__]
    return np.asarray(module.preprocess_input(pixels.copy()), "float32")


def random_pixels(side: int, count: int) -> np.ndarray:
    """Images of shape (count, side, side, 3), values 0..255: sixteen coloured fields each, and noise."""
    generator = np.random.default_rng(0)
    fields = generator.uniform(0, 255, (count, 4, 4, 3)).repeat(side // 4 + 1, 1).repeat(side // 4 + 1, 2)
    return np.clip(fields[:, :side, :side] + generator.normal(0, 25, (count, side, side, 3)), 0, 255).astype("float32")


def measure(name: str, record: Record, folder: Path) -> None:
    """Prepare, calibrate, train one step, save, load, export and compare, with random weights and images."""
    side = SMALLEST_SIDE.get(name, OTHERWISE)
    images = preprocessed(name, random_pixels(side, CALIBRATION))
    with record.stage("build"):
        model = build(name, side)
        # Without it a deep model answers 0 in inference, whose ranges tell nothing and which no step can be trained on.
        with without_dropout(model):
            reestimate_batch_norm(model, [images])
    record.add(side=side, parameters=model.count_params())
    with record.stage("quantize_model"):
        simulation = lowbit.quantize_model(model, "w8a8")
    add_float_equality(model, simulation, images[:COMPARED], record)
    del model
    with record.stage("calibrate"):
        lowbit.calibrate(simulation, [images])
    with record.stage("fit"):
        # Batch norms over few samples of one pixel each have huge gradients, in plain Keras as well.
        simulation.compile(keras.optimizers.SGD(1e-4, clipvalue=1.0), "sparse_categorical_crossentropy")
        simulation.fit(images, np.arange(CALIBRATION), batch_size=CALIBRATION, verbose=0)
    finish(simulation, images[-COMPARED:], record, folder)


def add_float_equality(model: keras.Model, simulation: keras.Model, images: np.ndarray, record: Record) -> None:
    """Largest difference of outputs, simulation without rounding against model, over the largest output.

    Beside it that of the model against itself for inputs changed in the last bit: a random deep model magnifies it.
    """
    with record.stage("float equality"):
        wanted = np.asarray(model(images, training=False))
        nudged = np.asarray(model(np.nextafter(images, np.float32(np.inf)), training=False))
        with forward_mode(Mode.FLOAT):
            found = np.asarray(simulation(images, training=False))
    largest = np.abs(wanted).max()
    record.add(
        float_difference=float(np.abs(found - wanted).max() / largest),
        last_bit_difference=float(np.abs(nudged - wanted).max() / largest),
    )


def finish(simulation: keras.Model, compared: np.ndarray, record: Record, folder: Path) -> None:
    """Save, load, write what was loaded, compare the file with it, and count what of the file is in integers."""
    before = np.asarray(simulation(compared[:2], training=False))
    with record.stage("save"):
        simulation.save(folder / "simulation.keras")
    del simulation
    with record.stage("load"):
        simulation = keras.models.load_model(folder / "simulation.keras")
    record.add(reload_equal=bool(np.array_equal(before, np.asarray(simulation(compared[:2], training=False)))))
    file = folder / "model.tflite"
    with record.stage("export"):
        lowbit.export(simulation, file)
    with record.stage("compare"):
        result = parity(simulation, file, [compared[i : i + 16] for i in range(0, len(compared), 16)], samples=10**6)
    worst = min(result.per_tensor, key=lambda tensor: (tensor.equal, tensor.within_one))
    unequal = sorted((one for one in result.per_tensor if one.equal < 1), key=lambda one: one.equal)
    record.add(
        compared=len(compared),
        tensors=result.tensors,
        missing=list(result.missing),
        top1=result.top1_agreement,
        worst={"tensor": worst.name, "op": worst.op, "equal": worst.equal, "within_one": worst.within_one},
        unequal=len(unequal),
        unequal_named=[f"{one.name} {one.op} {one.equal:.5f}" for one in unequal[:MOST_NAMED]],
        codes_at_output=result.per_tensor[-1].distinct_codes,
    )
    add_arithmetic(simulation, file, record)


def add_arithmetic(simulation: keras.Model, file: Path, record: Record) -> None:
    summary = inspect(file)
    record.add(
        size_bytes=summary.size_bytes,
        macs=summary.work.macs,
        macs_share=summary.work.macs_integer_share,
        weights_share=summary.work.weights_integer_share,
        ops=summary.n_ops,
        float_ops={op.op: op.float_count + op.hybrid_count for op in summary.ops if op.float_count + op.hybrid_count},
        kept_float={fate.layer: fate.reason for fate in fates(simulation) if fate.fate != "quantized"},
    )


def measure_trained(name: str, record: Record, folder: Path, data: Path) -> None:
    """The same for a model trained a little on real images, so that its ranges are real; more images compared."""
    images = {split: deepweeds(name, data, split) for split in ("train", "validation", "test")}
    with record.stage("build"):
        model = build(name, TRAINED_SIDE, classes=9)
    record.add(side=TRAINED_SIDE, parameters=model.count_params())
    with record.stage(f"{TRAINED_STEPS} steps"):
        batches = [tuple(part[i : i + TRAINED_BATCH] for part in images["train"]) for i in starts(images["train"][0])]
        history = fit(model, batches, None, epochs=1, learning_rate=1e-3, batch_norm="reestimate")
    took = []
    for _ in range(3):
        started = time.perf_counter()
        with record.stage("quantize_model"):
            simulation = lowbit.quantize_model(model, "w8a8")
        took.append(time.perf_counter() - started)
    record.add(
        history=str(history)[:300], prepare_seconds=took, prepare_median=statistics.median(took),
        prepare_limit=PREPARE_LIMIT_SECONDS.get(name),
    )  # fmt: skip
    compared, labels = images["test"]
    add_float_equality(model, simulation, compared[:COMPARED], record)
    record.add(float_accuracy=float(np.mean(model.predict(compared, verbose=0).argmax(-1) == labels)))
    del model
    with record.stage("calibrate"):
        lowbit.calibrate(simulation, [images["validation"][0][i : i + 16] for i in range(0, TRAINED_CALIBRATION, 16)])
    record.add(accuracy=float(np.mean(simulation.predict(compared, verbose=0).argmax(-1) == labels)))
    finish(simulation, compared, record, folder)


def starts(images: np.ndarray) -> range:
    return range(0, len(images), TRAINED_BATCH)


def deepweeds(name: str, data: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """As many images as are needed of a split, in one order for all models, and their labels."""
    count = {
        "train": TRAINED_STEPS * TRAINED_BATCH,
        "validation": TRAINED_CALIBRATION,
        "test": TRAINED_COMPARED,
    }[split]
    dataset = lowbit.load_dataset(data / "deepweeds-128", image_size=TRAINED_SIDE, preprocess="0..255", seed=0)
    pixels, labels = next(iter(dataset.split(split).batches(count, shuffle=True)))
    array = next(iter(pixels.values())) if isinstance(pixels, dict) else pixels
    return preprocessed(name, np.asarray(array)), np.asarray(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("record", type=Path)
    parser.add_argument("--trained", type=Path)
    asked = parser.parse_args()
    record = Record(asked.record, asked.name)
    with tempfile.TemporaryDirectory() as folder:
        try:
            if asked.trained is None:
                measure(asked.name, record, Path(folder))
            else:
                measure_trained(asked.name, record, Path(folder), asked.trained)
        finally:
            record.write()
    record.add(stage="done")
    record.write()


if __name__ == "__main__":
    main()
