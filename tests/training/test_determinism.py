# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

import pytest

SCRIPT = """
import hashlib, sys
from lowbit.data import load_dataset
from lowbit.training import fit
from lowbit.zoo import build_model

seed, batch_norm = int(sys.argv[1]), sys.argv[2]
data = load_dataset("digits")
model = build_model("small_cnn", inputs=data.inputs, classes=10, seed=seed)
train = data.train.batches(32, shuffle=True, seed=seed)
fit(model, train, data.validation.batches(32), epochs=2, learning_rate=1e-3, seed=seed, batch_norm=batch_norm)
print(hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest())
"""


def trained_weights(seed: int, batch_norm: str) -> str:
    """SHA-256 of the weights that a fresh process trains."""
    command = [sys.executable, "-c", SCRIPT, str(seed), batch_norm]
    environment = {**os.environ, "TF_NUM_INTEROP_THREADS": "1"}  # see lowbit.training.fit
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


@pytest.mark.parametrize("batch_norm", ["train", pytest.param("reestimate", marks=pytest.mark.slow)])
def test_two_fresh_processes_train_the_same_weights(batch_norm: str) -> None:
    first = trained_weights(0, batch_norm)
    assert len(first) == 64
    assert trained_weights(0, batch_norm) == first
