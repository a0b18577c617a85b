# SPDX-License-Identifier: Apache-2.0
"""Studies: several comparisons and experiments that answer one question, made by one command and told on one page."""

from lowbit.studies.running import StudyResult, study

__all__ = ["StudyResult", "study"]
