# SPDX-License-Identifier: Apache-2.0
"""Help for a mistyped name."""

import difflib
from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str:
    """A question naming the known name that is most like `name`, with a space behind; empty when none is.

    >>> closest("digitz", ["digits", "deep_weeds"])
    "did you mean 'digits'? "
    """
    found = difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]!r}? " if found else ""
