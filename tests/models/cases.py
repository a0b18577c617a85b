# SPDX-License-Identifier: Apache-2.0
"""The models that are followed from float to file."""

import other_models
import vision_models
from whole import Case

TWO_LOSSES = {"digit": "sparse_categorical_crossentropy", "size": "mse"}
RECURRENT = "no integer form"

CASES = [
    Case(name="subclassed", build=vision_models.subclassed, data="images", makes_itself=False),
    Case(name="transfer", build=vision_models.transfer, data="images"),
    Case(name="transfer_mobilenet", build=vision_models.transfer_mobilenet, data="weeds"),
    Case(
        name="vit_embedding",
        build=vision_models.transformer_with_embedding,
        data="images",
        kept={"patches/extract_patches": "no integer form"},
        makes_itself=False,
    ),
    Case(name="vit_weight", build=vision_models.transformer_with_weight, data="images"),
    Case(name="two_inputs", build=other_models.two_inputs, data="images_and_numbers", loss=TWO_LOSSES),
    Case(name="dict_inputs", build=other_models.dict_inputs, data="images_and_numbers", loss=TWO_LOSSES),
    Case(name="audio", build=other_models.audio, data="tones"),
    Case(name="lstm", build=other_models.lstm, data="rows", kept={"recurrent": RECURRENT}),
    Case(name="gru", build=other_models.gru, data="rows", kept={"recurrent": RECURRENT}),
    Case(name="used_twice", build=vision_models.used_twice, data="images"),
    Case(name="lambda_of_ops", build=vision_models.lambda_of_ops, data="images", makes_itself=False),
    Case(name="text", build=other_models.text, data="words"),
    Case(name="u_net", build=vision_models.u_net, data="pixels", loss="sparse_categorical_crossentropy"),
    Case(name="free_size", build=vision_models.free_size, data="images", input_shape=(8, 8, 1)),
]

UNMENDED: dict[str, str] = {}
"""Cases that do not reach their file yet, and why; their tests fail as soon as they do."""
