# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training in a loop of your own: a simulation is a Keras model, so GradientTape trains it.

Three things that `lowbit.qat.fit` would do are the loop's to do: freeze the ranges near the end, measure batch-norm
statistics anew for the final weights, and look at the file's answers, not the float model's.

Run: python examples/custom_loop.py [--epochs 4]     (TensorFlow backend)
"""

import argparse

import keras
import tensorflow as tf

import lowbit
from lowbit.quantizers import ActivationQuantizer
from lowbit.training import reestimate_batch_norm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    asked = parser.parse_args()

    keras.utils.set_random_seed(0)
    digits = lowbit.load_dataset("digits")
    x, y = next(iter(digits.train.batches(len(digits.train))))
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(16, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x["image"], y, epochs=10, verbose=0)

    simulation = lowbit.quantize_model(model, "w4a8", calibration=digits.calibration().batches(32))
    optimizer = keras.optimizers.Adam(1e-3)
    loss_of = keras.losses.SparseCategoricalCrossentropy()
    step = trained_step(simulation, optimizer, loss_of)
    for epoch in range(asked.epochs):
        if epoch == asked.epochs - 1:
            freeze_ranges(simulation)
        losses = [float(step(x["image"], y)) for x, y in digits.train.batches(32, shuffle=True, seed=epoch)]
        print(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.3f}")
    reestimate_batch_norm(simulation, digits.train.batches(32))

    written = lowbit.export(simulation, "custom_loop.tflite", parity=digits.validation.batches(32))
    print(f"equal codes at the worst tensor: {written.parity.worst_equal:.2%}")
    print(f"file: {lowbit.evaluate('custom_loop.tflite', digits).accuracy:.1%} of the test digits")


def trained_step(simulation: keras.Model, optimizer: keras.optimizers.Optimizer, loss_of: keras.losses.Loss):
    """A compiled step; `training=True` is what makes it quantization-aware instead of the file's integers."""

    @tf.function
    def step(inputs, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, simulation(inputs, training=True))
        gradients = tape.gradient(loss, simulation.trainable_variables)
        optimizer.apply_gradients(zip(gradients, simulation.trainable_variables, strict=True))
        return loss

    return step


def freeze_ranges(simulation: keras.Model) -> None:
    """Activation ranges stay where they are from now on."""
    for quantizer in simulation.quantizers().values():
        if isinstance(quantizer, ActivationQuantizer):
            quantizer.freeze()


if __name__ == "__main__":
    main()
