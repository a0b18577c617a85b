# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from lowbit.errors import InputError
from lowbit.training import History, TrainingEvent, fit, predict
from lowbit.training.stopping import EarlyStopping

Make = Callable[..., Any]


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_it_learns_and_tells_how(model: keras.Model, points: Make) -> None:
    history = fit(model, points(400), points(100, seed=1), epochs=20, learning_rate=0.02)
    assert history.logs["val_accuracy"][history.best_epoch - 1] > 0.9
    assert history.logs["val_loss"][history.best_epoch - 1] == min(history.logs["val_loss"])
    assert {len(values) for values in history.logs.values()} == {history.trained_epochs}
    assert set(history.logs) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history.seconds > 0
    assert json.loads(json.dumps(dataclasses.asdict(history)))["best_epoch"] == history.best_epoch


def test_validation_is_what_keras_evaluates(model: keras.Model, points: Make) -> None:
    validation = points(45, seed=1)
    history = fit(model, points(60), validation, epochs=1, learning_rate=0.01)
    loss, accuracy = model.evaluate(validation.points, validation.labels, verbose=0)
    assert history.logs["val_loss"][0] == pytest.approx(loss, rel=1e-5)
    assert history.logs["val_accuracy"][0] == pytest.approx(accuracy)


def test_the_logged_loss_is_the_mean_over_samples_not_over_batches(model: keras.Model) -> None:
    inputs = np.eye(3, dtype=np.float32)
    batches = [(inputs, np.array([0, 1, 2])), (inputs[:1], np.array([2]))]
    model.get_layer("norm").trainable = False
    wanted = model.predict(np.concatenate([inputs, inputs[:1]]), verbose=0)[range(4), [0, 1, 2, 2]]
    history = fit(model, batches, None, epochs=1, learning_rate=1e-12)
    assert history.logs["loss"][0] == pytest.approx(float(-np.log(wanted).mean()), rel=1e-4)


def test_the_best_weights_are_restored(model: keras.Model, points: Make) -> None:
    best: dict[int, list[np.ndarray]] = {}

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            best[epoch + 1] = self.model.get_weights()

    # A learning rate at which the loss goes up and down.
    history = fit(model, points(64), points(64, seed=1), epochs=8, learning_rate=0.8, patience=2, callbacks=[Keep()])
    assert history.best_epoch < history.trained_epochs
    assert equal(model.get_weights(), best[history.best_epoch])


@pytest.mark.parametrize(
    ("losses", "patience", "stopped_after", "best"),
    [
        ([3, 2, 1], 2, None, 3),
        ([3, 2, 4, 5, 1], 2, 4, 2),
        ([3, 2, 4, 1, 5], 2, None, 4),
        ([1, 1, 1], 2, 3, 1),
        ([1, 2, 3], 1, 2, 1),
        ([1, 2, 3], 0, 2, 1),
        ([2, 1, 0.5], 0, 2, 2),
        ([None, None], 1, None, 2),
    ],
)
def test_early_stopping(
    model: keras.Model, losses: list[float | None], patience: int, stopped_after: int | None, best: int
) -> None:
    stopping = EarlyStopping(model, patience)
    stops = (epoch for epoch, loss in enumerate(losses, start=1) if stopping.update(epoch, loss))
    assert next(stops, None) == stopped_after
    assert stopping.best_epoch == best


def test_more_right_answers_come_before_a_lower_loss(model: keras.Model) -> None:
    stopping = EarlyStopping(model, 2)
    seen = [(1.0, 0.5), (0.9, 0.6), (1.1, 0.7), (1.0, 0.7), (0.8, 0.6), (0.7, 0.69)]
    stops = [stopping.update(epoch, loss, accuracy) for epoch, (loss, accuracy) in enumerate(seen, start=1)]
    assert stops == [False, False, False, False, False, True] and stopping.best_epoch == 4


def test_progress_comes_as_events(model: keras.Model, points: Make, capsys: pytest.CaptureFixture[str]) -> None:
    events: list[TrainingEvent] = []
    history = fit(model, points(40), points(20), epochs=2, learning_rate=0.01, on_event=events.append)
    assert [event.epoch for event in events if event.kind == "epoch_start"] == [1, 2]
    assert [event.logs["val_loss"] for event in events if event.kind == "epoch_end"] == list(history.logs["val_loss"])
    assert {(event.epochs, event.steps) for event in events} == {(2, 3)}
    assert all(1 <= event.step <= 3 and "loss" in event.logs for event in events if event.kind == "batch")
    assert capsys.readouterr().out == ""


def test_keras_callbacks_run(model: keras.Model, points: Make) -> None:
    class Halve(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            self.steps += 1

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2
            self.model.stop_training = epoch == 2

    halve = Halve()
    history = fit(model, points(40), points(20), epochs=9, learning_rate=0.08, patience=9, callbacks=[halve])
    assert history.trained_epochs == 3
    assert halve.steps == 9
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


def test_arrays_and_several_inputs_are_taken_too() -> None:
    left, right = keras.Input((2,), name="left"), keras.Input((1,), name="right")
    x = keras.layers.Concatenate(name="both")([left, right])
    model = keras.Model([left, right], keras.layers.Dense(3, name="classes")(x))
    data = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    batches = [({"right": data[:, 2:], "left": data[:, :2]}, data.argmax(axis=1))]
    assert fit(model, batches, batches, epochs=1, learning_rate=0.01).trained_epochs == 1
    outputs, _ = predict(model, batches)
    assert np.array_equal(outputs, model.predict([data[:, :2], data[:, 2:]], verbose=0))
    with pytest.raises(InputError, match="received inputs left, up; expected the model's inputs left, right"):
        predict(model, [{"left": data[:, :2], "up": data[:, 2:]}])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "received epochs=0; expected a whole number from 1"),
        ({"epochs": -3}, "received epochs=-3; expected a whole number from 1"),
        ({"epochs": 1.5}, "received epochs=1.5; expected a whole number from 1"),
        ({"epochs": "2"}, "received epochs='2'; expected a whole number from 1"),
        ({"learning_rate": "0.1"}, "received learning_rate='0.1'; expected a positive learning rate, or a Keras sched"),
        ({"learning_rate": None}, "received learning_rate=None; expected a positive learning rate"),
        ({"patience": None}, "received patience=None; expected a whole number from 0"),
        ({"seed": -1}, "received seed=-1; expected a whole number from 0"),
        ({"loss": "foo"}, "received loss='foo'; expected a Keras loss"),
        ({"teacher": "m.keras"}, "received teacher='m.keras'; expected a Keras model"),
        ({"learning_rate": 0.0}, "received learning_rate=0.0; expected a positive learning rate"),
        ({"learning_rate": float("nan")}, "received learning_rate=nan; expected a positive learning rate"),
        ({"patience": -1}, "received patience=-1; expected a whole number from 0"),
        ({"batch_norm": "thaw"}, "received batch_norm='thaw'; expected one of train, freeze, reestimate"),
    ],
)
def test_settings_out_of_range_touch_nothing(
    model: keras.Model, points: Make, settings: dict[str, Any], message: str
) -> None:
    before, train = model.get_weights(), points(40)
    with pytest.raises(InputError, match=message):
        fit(model, train, points(20), **({"epochs": 1, "learning_rate": 0.01} | settings))
    assert equal(model.get_weights(), before)
    assert train.iterations == 0
    assert not model.compiled


def test_a_loss_of_nan_is_an_error_and_leaves_the_model(model: keras.Model, points: Make) -> None:
    before, train = model.get_weights(), points(40)
    train.points[-1, 0] = np.nan
    with pytest.raises(InputError, match=r"received loss nan in epoch 1, batch \d, at learning rate 0.01; .*--lr"):
        fit(model, train, points(20), epochs=2, learning_rate=0.01, batch_norm="freeze")
    assert equal(model.get_weights(), before)
    assert model.get_layer("norm").trainable


def test_a_loss_of_nan_in_validation_is_an_error(model: keras.Model, points: Make) -> None:
    validation = points(20)
    validation.points[0] = np.nan
    with pytest.raises(InputError, match="received loss nan in validation after epoch 1"):
        fit(model, points(40), validation, epochs=2, learning_rate=0.01)


def test_an_error_or_interrupt_in_the_data_passes_and_leaves_the_model(model: keras.Model, points: Make) -> None:
    def failing() -> Iterator[Any]:
        yield from points(40)
        raise KeyboardInterrupt

    before = model.get_weights()
    with pytest.raises(KeyboardInterrupt):
        fit(model, failing(), points(20), epochs=1, learning_rate=0.01)
    assert equal(model.get_weights(), before)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "received training data without a batch"),
        ([(np.zeros((2, 3), np.float32), None)], "received batches without labels"),
        ([np.zeros((4, 3), np.float32)], "received batches without labels"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(model: keras.Model, batches: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(model, batches, None, epochs=1, learning_rate=0.01)


SAMPLES = np.zeros((4, 3), np.float32)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((SAMPLES, np.array([0, 1, 8, 9])), "epoch 1, batch 1: labels 8, 9 among others; expected whole"),
        ((SAMPLES, np.array([0, 1, -1, 0])), "labels -1 among others"),
        ((SAMPLES, np.array([0, 1, 0.5, np.nan])), "labels 0.5, nan among others"),
        ((SAMPLES, np.eye(3)[[0, 1, 0, 1]]), r"labels of shape \(4, 3\).*labels.argmax\(axis=1\)"),
        ((SAMPLES, np.array(["a", "b", "a", "b"])), "labels of type <U1.*numpy.unique"),
        ((SAMPLES, np.array([0, 1])), "4 samples with 2 labels"),
        ((SAMPLES[:0], np.array([], int)), "0 samples with 0 labels"),
        ((SAMPLES[:, :2], np.zeros(4, int)), r"samples of shape \(2,\) for input .*expected shape \(3,\)"),
        ((SAMPLES[0], np.zeros(3, int)), r"samples of shape \(\) for input"),
        ((SAMPLES.astype(object), np.zeros(4, int)), "inputs of type object"),
    ],
)
def test_batches_that_do_not_fit_are_refused_by_name(model: keras.Model, batch: Any, message: str) -> None:
    """Each backend says something else of them, or nothing."""
    before, good = model.get_weights(), (SAMPLES, np.array([0, 1, 1, 0]))
    with pytest.raises(InputError, match=message):
        fit(model, [batch], None, epochs=1, learning_rate=0.01)
    with pytest.raises(InputError, match=message.replace("epoch 1, batch 1", "validation, batch 2")):
        fit(model, [good], [good, batch], epochs=1, learning_rate=0.01)
    assert equal(model.get_weights(), before)


@pytest.mark.parametrize("batches", [None, 3, {"a": 1}, lambda: iter([])])
def test_what_is_no_iterable_of_batches_is_refused(model: keras.Model, batches: Any) -> None:
    with pytest.raises(InputError, match="expected an iterable of batches"):
        fit(model, batches, None, epochs=1, learning_rate=0.01)


def test_batches_that_can_be_read_once_are_refused_before_the_first_epoch(model: keras.Model, points: Make) -> None:
    once = iter(points(40))
    with pytest.raises(InputError, match="training data that can be read only once"):
        fit(model, once, None, epochs=2, learning_rate=0.01)
    with pytest.raises(InputError, match="validation data that can be read only once"):
        fit(model, points(40), once, epochs=2, learning_rate=0.01)
    assert fit(model, once, None, epochs=1, learning_rate=0.01).trained_epochs == 1


def test_a_schedule_and_a_single_callback_are_taken(model: keras.Model, points: Make) -> None:
    rates: list[float] = []

    def note(*_: Any, **__: Any) -> None:
        rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))

    watch = keras.callbacks.LambdaCallback(on_train_batch_end=note)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=1, decay_rate=0.5)
    fit(model, points(96), None, epochs=1, learning_rate=schedule, callbacks=watch)
    assert rates == pytest.approx([0.01 * 0.5**step for step in range(1, 7)])


def test_a_model_without_trainable_layers_is_refused(model: keras.Model, points: Make) -> None:
    model.trainable = False
    with pytest.raises(InputError, match="received model 'small' without trainable weights; .*unfreeze"):
        fit(model, points(40), None, epochs=1, learning_rate=0.01)


def test_a_history_gathers_epochs() -> None:
    history = History.of([{"loss": 2.0}, {"loss": 1.0}], best_epoch=2, seconds=0.5)
    assert history == History(logs={"loss": (2.0, 1.0)}, trained_epochs=2, best_epoch=2, seconds=0.5)
