# SPDX-License-Identifier: Apache-2.0
"""Training of float models and simulations alike.

    from lowbit.training import fit, predict

    history = fit(model, split.batches(32, shuffle=True), validation.batches(32), epochs=20, learning_rate=1e-3)
    outputs, labels = predict(model, test.batches(32))

Batches are any re-iterable of `(inputs, labels)`, one iteration being one epoch: not our `Dataset`, the user's own
loader works too. Only keras is used, so any backend trains; progress is reported as events, never printed.
"""

from lowbit.training.batch_norm import batch_norms, reestimate_batch_norm, set_batch_norm
from lowbit.training.events import History, TrainingEvent
from lowbit.training.feed import model_inputs
from lowbit.training.fit import fit
from lowbit.training.losses import infer_loss
from lowbit.training.predict import predict, predictions
from lowbit.training.trainable import unfreeze

__all__ = [
    "History",
    "TrainingEvent",
    "batch_norms",
    "fit",
    "infer_loss",
    "model_inputs",
    "predict",
    "predictions",
    "reestimate_batch_norm",
    "set_batch_norm",
    "unfreeze",
]
