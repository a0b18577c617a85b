# SPDX-License-Identifier: Apache-2.0
"""`python -m lowbit.cli`."""

from lowbit.cli import main

main()
