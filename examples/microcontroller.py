# SPDX-License-Identifier: Apache-2.0
"""A model for a microcontroller: int8 in, int8 out, its arena, and the file as a C array.

LiteRT for microcontrollers takes the file as it is; the caller turns readings into codes and codes into answers with
the scale and zero point that are printed.

Run: python examples/microcontroller.py
"""

from pathlib import Path

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

import lowbit
from lowbit import runtime


def main() -> None:
    keras.utils.set_random_seed(0)
    digits = lowbit.load_dataset("digits")
    x, y = next(iter(digits.train.batches(len(digits.train))))
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.DepthwiseConv2D(3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x["image"], y, epochs=20, verbose=0)
    lowbit.export(model, "digits.tflite", spec="w8a8", calibration=digits.calibration().batches(32), io="int8")

    inside = runtime.inspect("digits.tflite")
    (entry,), (answer,) = inside.inputs, inside.outputs
    arena = runtime.profile("digits.tflite").arena_bytes
    print(f"{Path('digits.tflite').stat().st_size:,} bytes, arena {arena:,} bytes")
    print(f"input:  code = round(value / {entry.scale:.6g}) + {entry.zero_point}, {np.dtype(entry.dtype).name}")
    print(f"output: probability = (code - {answer.zero_point}) * {answer.scale:.6g}")

    images, labels = next(iter(digits.test.batches(len(digits.test))))
    codes = np.clip(np.rint(images["image"] / entry.scale) + entry.zero_point, -128, 127).astype(np.int8)
    print(f"{np.mean(answers('digits.tflite', codes) == labels):.1%} of the test digits, codes in and out")
    Path("digits.h").write_text(c_array(Path("digits.tflite").read_bytes(), "digits_model"))


def answers(path: str, codes: np.ndarray) -> np.ndarray:
    """The class with the highest code, one sample at a time, as on the device."""
    interpreter = Interpreter(path)
    interpreter.allocate_tensors()
    entry, answer = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    found = []
    for sample in codes:
        interpreter.set_tensor(entry, sample[np.newaxis])
        interpreter.invoke()
        found.append(interpreter.get_tensor(answer)[0].argmax())
    return np.array(found)


def c_array(content: bytes, name: str) -> str:
    """The file as C source; the runtime wants it at a multiple of 16 bytes."""
    lines = [", ".join(f"0x{byte:02x}" for byte in content[at : at + 12]) for at in range(0, len(content), 12)]
    body = ",\n  ".join(lines)
    array = f"alignas(16) const unsigned char {name}[] = {{\n  {body}\n}};\n"
    return f"{array}const unsigned int {name}_len = {len(content)};\n"


if __name__ == "__main__":
    main()
