# SPDX-License-Identifier: Apache-2.0
"""The jobs of a comparison. Imported by name when a job runs, so that a finished run loads none of them."""
