# SPDX-License-Identifier: Apache-2.0
"""What results call a model, known before it is opened."""

from pathlib import Path

from lowbit.compare.settings import Settings
from lowbit.compare.subject import is_zoo_name
from lowbit.functions import is_function_word
from lowbit.zoo.catalog import entry


def model_name(settings: Settings) -> str:
    """The zoo's name, the file's without its ending, or module and function: as `open_initial` names it."""
    if is_function_word(settings.model):
        return settings.model.replace(":", ".")
    return entry(settings.model).name if is_zoo_name(settings.model) else Path(settings.model).stem
