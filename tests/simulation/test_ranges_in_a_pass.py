# SPDX-License-Identifier: Apache-2.0
"""Within a pass of inference each range is made a grid once; the next pass sees a range that has changed."""

import numpy as np

from lowbit.quantizers import affine
from lowbit.simulation import quantize_model


def test_each_grid_is_computed_once_in_a_pass_and_anew_in_the_next(every_layer, images, monkeypatch):
    simulation = quantize_model(every_layer, calibration=[images])
    compute, asked = affine.activation_parameters, []

    def counted(low, high, bits, **options):
        asked.append((float(low), float(high), bits))
        return compute(low, high, bits, **options)

    monkeypatch.setattr(affine, "activation_parameters", counted)
    first = np.asarray(simulation(images[:2], training=False))
    in_one_pass = len(asked)
    ranged = [one for one in simulation.quantizers().values() if hasattr(one, "ends")]
    assert 10 < in_one_pass <= len(ranged)
    for quantizer in ranged:
        quantizer.maximum.assign(2 * quantizer.maximum)
    second = np.asarray(simulation(images[:2], training=False))
    assert len(asked) == 2 * in_one_pass and not set(asked[:in_one_pass]) & set(asked[in_one_pass:])
    assert not np.array_equal(first, second)
