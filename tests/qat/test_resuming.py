# SPDX-License-Identifier: Apache-2.0
"""A killed training goes on and ends with the same bits; a backup that does not belong to it is told of."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import lowbit
from lowbit import qat
from lowbit.errors import FileFormatError, InputError

X = np.random.default_rng(0).normal(size=(80, 8, 8, 1)).astype("float32")
Y = np.arange(80) % 10

SCRIPT = """
import json, os, signal, sys
import keras, numpy as np
import lowbit
from keras import layers
from lowbit import qat

X = np.random.default_rng(0).normal(size=(80, 8, 8, 1)).astype("float32")
Y = np.arange(80) % 10

def simulation(rate=0.3):
    keras.utils.set_random_seed(7)
    parts = [layers.Conv2D(8, 3, name="conv"), layers.BatchNormalization(name="norm"), layers.ReLU(name="relu")]
    parts += [layers.Flatten(name="flat"), layers.Dropout(rate, name="drop"), layers.Dense(10, "softmax", name="last")]
    sim = lowbit.quantize_model(keras.Sequential([keras.Input((8, 8, 1)), *parts]), calibration=[X[:16]])
    sim.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return sim

class Kill(keras.callbacks.Callback):
    trained = 0
    def on_train_batch_end(self, batch, logs=None):
        self.trained += 1
        if self.trained == 25:
            os.kill(os.getpid(), signal.SIGKILL)

def trained(sim, *callbacks):
    freeze = qat.RangeFreeze(1)  # so that ranges are frozen where the training goes on
    return sim.fit(X, Y, batch_size=8, epochs=4, verbose=0, callbacks=[*callbacks, freeze]).history

def state(sim):
    return [np.asarray(variable) for variable in (*sim.variables, *sim.optimizer.variables)]

def are_equal(one, other):
    return all(np.array_equal(*pair) for pair in zip(state(one), state(other), strict=True))

if sys.argv[1] == "kill":
    trained(simulation(), qat.Resume(sys.argv[2], save_freq=3), Kill())
resumed, whole = simulation(), simulation()
histories = trained(resumed, qat.Resume(sys.argv[2], save_freq=3)), trained(whole)
said = {
    "equal": are_equal(resumed, whole),
    "history": all(whole_values[2:] == histories[0][name] for name, whole_values in histories[1].items()),
    "moved": not are_equal(resumed, simulation()),
    "left": os.path.exists(sys.argv[2]),
}
for suffix in ("keras", "h5"):
    sim = simulation(rate=0)
    sim.fit(X, Y, batch_size=8, verbose=0)
    sim.save(f"{sys.argv[3]}/sim.{suffix}")
    loaded = keras.models.load_model(f"{sys.argv[3]}/sim.{suffix}")
    for one in (sim, loaded):
        one.train_on_batch(X[:8], Y[:8])
    said[suffix] = are_equal(sim, loaded)
print(json.dumps(said))
"""


def test_a_killed_training_ends_with_the_bits_of_one_that_was_not(tmp_path):
    folder = tmp_path / "backup"
    environment = os.environ | {"TF_NUM_INTEROP_THREADS": "1"}  # see lowbit.training.fit
    command = [sys.executable, "-c", SCRIPT]
    killed = subprocess.run([*command, "kill", str(folder), str(tmp_path)], env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert [file.name for file in folder.iterdir()] == ["resume.npz"]
    done = subprocess.run(
        [*command, "resume", str(folder), str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"equal": True, "history": True, "moved": True, "left": False, "keras": True, "h5": True}


OTHER_BACKENDS = """
import sys
import keras, numpy as np
import lowbit
from keras import layers
from lowbit import qat

X = np.random.default_rng(0).normal(size=(48, 4, 4, 1)).astype("float32")
Y = np.arange(48) % 10

def simulation():
    keras.utils.set_random_seed(1)
    parts = [layers.Flatten(name="flat"), layers.Dropout(0.2, name="drop"), layers.Dense(10, "softmax", name="last")]
    sim = lowbit.quantize_model(keras.Sequential([keras.Input((4, 4, 1), name="in"), *parts]), calibration=[X[:16]])
    sim.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return sim

class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 4):
            raise KeyError("stopped")

def fit(sim, *callbacks):
    sim.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=list(callbacks))
    return [np.asarray(keras.ops.convert_to_numpy(v)) for v in (*sim.variables, *sim.optimizer.variables)]

whole = fit(simulation())
try:
    fit(simulation(), qat.Resume(sys.argv[1], save_freq=2), Stop())
except KeyError:
    resumed = fit(simulation(), qat.Resume(sys.argv[1], save_freq=2))
print(all(np.array_equal(*pair) for pair in zip(whole, resumed, strict=True)))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_training_on_other_backends_resumes_with_the_same_bits(tmp_path, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    command = [sys.executable, "-c", OTHER_BACKENDS, str(tmp_path / "backup")]
    done = subprocess.run(command, env=os.environ | {"KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "True"


class Stopped(Exception):
    pass


class StopAt(keras.callbacks.Callback):
    """Ends a training as a kill does, inside the process."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            raise Stopped


class StopAtEpoch(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise Stopped


def simulation(units=10, activation="relu", optimizer="sgd"):
    parts = [layers.Flatten(name="flat"), layers.Dense(8, activation, name="first"), layers.Dropout(0.1, name="drop")]
    parts += [layers.Dense(units, name="last")]
    sim = lowbit.quantize_model(keras.Sequential([keras.Input((8, 8, 1), name="in"), *parts]), calibration=[X[:16]])
    sim.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return sim


def fit(sim, *callbacks, x=X, epochs=2):
    return sim.fit(x, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Stopped):
        fit(simulation(), qat.Resume(folder, save_freq=2), StopAt(5))
    return folder


@pytest.fixture
def folder(stopped, tmp_path):
    """With the backup of a training that was stopped in its first epoch."""
    return shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)


def refused(error, match, sim, folder, **options):
    """`fit` raises before the first step; the simulation trains on afterwards."""
    before = sim.get_weights()
    with pytest.raises(error, match=match):
        fit(sim, qat.Resume(folder), **options)
    after = sim.get_weights()
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    fit(sim)


@pytest.mark.parametrize(
    "options, match",
    [
        ({"units": 12}, r"layer 'last' \(QuantizedDense\) has other settings than in the backup"),
        ({"activation": "tanh"}, r"layer 'first' \(QuantizedDense\) has other settings than in the backup"),
        ({"optimizer": "adam"}, "optimizer: Adam, SGD in the backup"),
    ],
)
def test_a_backup_of_another_training_is_refused(folder, options, match):
    refused(InputError, match, simulation(**options), folder)


def test_a_backup_of_another_backend_is_refused(folder):
    file = folder / "resume.npz"
    with np.load(file) as saved:
        parts = dict(saved)
    header = json.loads(str(parts["header"])) | {"backend": "jax"}
    np.savez(file, **parts | {"header": np.array(json.dumps(header))})
    refused(InputError, "'tensorflow' backend, 'jax' in the backup", simulation(), folder)


def test_data_in_another_order_is_refused(folder):
    sim = simulation()
    match = "epoch 1 begins with another batch than in the backup"
    with pytest.raises(InputError, match=match):
        fit(sim, qat.Resume(folder), x=X[::-1])
    assert int(np.asarray(sim.optimizer.iterations)) == 6  # what the backup holds, nothing trained
    fit(sim)


@pytest.mark.parametrize("options", [{"steps_per_epoch": 2}, {"x": X[:24]}])
def test_an_epoch_shorter_than_what_is_trained_of_it_is_refused(folder, options):
    """6 batches of the first epoch are in the backup."""
    sim, x = simulation(), options.pop("x", X)
    with pytest.raises(InputError, match=r"an epoch of \d batches, of which the backup .* has trained 6"):
        sim.fit(
            x, Y[: len(x)], batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=[qat.Resume(folder)], **options
        )
    fit(sim)
    assert int(np.asarray(sim.optimizer.iterations)) == 6 + 20  # and it trains on


def test_another_learning_rate_counts_and_is_told(folder):
    sim = simulation(optimizer=keras.optimizers.SGD(0.5))
    rates: list[float] = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: rates.append(float(np.asarray(sim.optimizer.learning_rate)))
    )
    with pytest.warns(UserWarning, match=r"at learning rate 0.01; training goes on at 0.5, as the model was compiled"):
        fit(sim, qat.Resume(folder), watch)
    assert rates == [0.5, 0.5]


def test_weights_that_are_not_finite_are_not_backed_up(tmp_path):
    sim = simulation(optimizer=keras.optimizers.SGD(1e38))
    with pytest.raises(InputError, match="not finite"):
        fit(sim, qat.Resume(tmp_path / "backup", save_freq=1))
    assert not (tmp_path / "backup" / "resume.npz").exists()


def test_a_folder_that_was_there_before_stays(tmp_path):
    fit(simulation(), qat.Resume(tmp_path, save_freq=2))
    assert tmp_path.is_dir() and not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="folder .*file, which is a file"):
        fit(simulation(), qat.Resume(tmp_path / "file"))


def test_a_training_that_is_over_is_told(folder):
    with pytest.raises(Stopped):
        fit(simulation(), qat.Resume(folder), StopAtEpoch())
    refused(InputError, "of epoch 2, and epochs=1", simulation(), folder, epochs=1)


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_a_damaged_backup_is_told(folder, keep):
    file = folder / "resume.npz"
    file.write_bytes(file.read_bytes()[:keep])
    refused(FileFormatError, "resume.npz, a damaged backup.*delete it", simulation(), folder)


@pytest.mark.parametrize("offset, value", [(6, 1), (8, 99)])
def test_a_member_that_calls_itself_encrypted_or_otherwise_compressed_is_told(folder, offset, value):
    """Of the zip file's first local header: flags at 6, method at 8; and of its central directory, two bytes on."""
    file = folder / "resume.npz"
    content = bytearray(file.read_bytes())
    content[offset] = value
    content[content.index(b"PK\x01\x02") + offset + 2] = value
    file.write_bytes(content)
    refused(FileFormatError, "a damaged backup", simulation(), folder)


def test_a_changed_byte_is_told(folder):
    file = folder / "resume.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    refused(FileFormatError, "a damaged backup", simulation(), folder)


def test_a_half_written_backup_is_told_and_the_one_before_used(folder):
    left = folder / ".resume.0123456789ab.tmp.npz"
    left.write_bytes(b"PK")
    sim = simulation()
    with pytest.warns(UserWarning, match="half-written backup and is deleted: training goes on from the backup before"):
        fit(sim, qat.Resume(folder))
    assert not folder.exists()
    assert int(np.asarray(sim.optimizer.iterations)) == 20


def test_later_trainings_begin_at_their_first_epoch(folder):
    sim = simulation()
    with pytest.raises(Stopped):
        fit(sim, qat.Resume(folder, save_freq=3), StopAt(9))
    fit(sim, qat.Resume(folder))
    assert len(fit(sim, epochs=3).epoch) == 3


def test_the_loop_of_recipes_does_not_take_it(digits, digits_simulation, tmp_path):
    with pytest.raises(InputError, match="the simulation's own fit"):
        qat.fit(
            digits_simulation,
            digits.train.batches(32),
            None,
            epochs=1,
            learning_rate=1e-3,
            callbacks=[qat.Resume(tmp_path)],
        )


@pytest.mark.parametrize("save_freq", [0, -1, 1.5, True, "batch", None])
def test_the_frequency_is_checked(save_freq):
    with pytest.raises(InputError, match="save_freq"):
        qat.Resume("backup", save_freq=save_freq)
