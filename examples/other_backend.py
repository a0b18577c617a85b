# SPDX-License-Identifier: Apache-2.0
"""QAT on JAX or PyTorch, and the file: TensorFlow makes its bytes in a process of its own.

Run: KERAS_BACKEND=jax python examples/other_backend.py      (or torch)
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # before keras is imported

import keras

import lowbit


def main() -> None:
    keras.utils.set_random_seed(0)
    digits = lowbit.load_dataset("digits")
    x, y = next(iter(digits.train.batches(len(digits.train))))
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x["image"], y, epochs=10, verbose=0)

    simulation = lowbit.quantize_model(model, "w8a8", calibration=digits.calibration().batches(32))
    simulation.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    simulation.fit(x["image"], y, epochs=3, verbose=0)

    written = lowbit.export(simulation, "other_backend.tflite", parity=digits.validation.batches(32))
    print(f"trained on {keras.backend.backend()}")
    print(f"equal codes at the worst tensor: {written.parity.worst_equal:.2%}")
    print(f"file: {lowbit.evaluate('other_backend.tflite', digits).accuracy:.1%} of the test digits")


if __name__ == "__main__":
    main()
