# SPDX-License-Identifier: Apache-2.0
"""One model, one data set, many recipes: everything trained, written, run and measured into one table.

Importing it loads neither keras nor tensorflow: a finished run is read back without them.
"""

from lowbit.compare.evaluate import Evaluation, benchmark, evaluate
from lowbit.compare.run import Comparison, compare
from lowbit.compare.settings import Settings

__all__ = ["Comparison", "Evaluation", "Settings", "benchmark", "compare", "evaluate"]
