# SPDX-License-Identifier: Apache-2.0
"""What was asked for: bits for the whole model, rules for single layers. Importing it loads nothing heavy.

`lowbit.spec.rules_file` reads rules from YAML.
"""

from lowbit.spec.bits import ACTIVATION_BITS, WEIGHT_BITS, Spec
from lowbit.spec.resolve import LayerSetting, output_setting, resolve
from lowbit.spec.rule import LayerView, Rule

__all__ = ["ACTIVATION_BITS", "WEIGHT_BITS", "LayerSetting", "LayerView", "Rule", "Spec", "output_setting", "resolve"]
