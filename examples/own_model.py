# SPDX-License-Identifier: Apache-2.0
"""A trained Keras model from a file -> a full-int8 file, by rounding and, where that loses too much, by training.

Run: python examples/own_model.py MODEL.keras DATA [--preprocess -1..1]
DATA is anything that lowbit reads: a folder of class folders, an .npz file, a tfds name, package.module:function.
"""

import argparse

import keras

import lowbit
from lowbit import qat, training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a trained .keras or .h5 file")
    parser.add_argument("data")
    parser.add_argument("--preprocess", default="0..1", help="as the model was trained: -1..1, 0..1, 0..255, imagenet")
    parser.add_argument("--epochs", type=int, default=5)
    asked = parser.parse_args()

    model = keras.saving.load_model(asked.model)
    height, width, channels = model.input_shape[1:]
    data = lowbit.load_dataset(
        asked.data, image_size=(height, width), channels=channels, preprocess=asked.preprocess
    )
    print(f"float32: {lowbit.evaluate(model, data).accuracy:.1%}")

    found = lowbit.coverage(model)
    print(f"{found.macs_integer_share:.0%} of multiply-accumulates will run in integers")

    training.unfreeze(model)  # a base that was frozen for its first training is trained now
    simulation = lowbit.quantize_model(model, "w8a8", calibration=data.calibration().batches(32))
    lowbit.export(simulation, "ptq.tflite", parity=data.validation.batches(32))
    print(f"rounded: {lowbit.evaluate('ptq.tflite', data).accuracy:.1%}")

    train = data.train.batches(32, shuffle=True)
    validation = data.validation.batches(32)
    qat.fit(simulation, train, validation, epochs=asked.epochs, learning_rate=1e-3, average_weights=True)
    written = lowbit.export(simulation, "qat.tflite", parity=data.validation.batches(32))
    print(f"trained with rounding: {lowbit.evaluate('qat.tflite', data).accuracy:.1%}")
    print(f"equal codes at the worst tensor: {written.parity.worst_equal:.2%}")


if __name__ == "__main__":
    main()
