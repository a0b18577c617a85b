# SPDX-License-Identifier: Apache-2.0
"""A file without what the runtime does not read: long names of tensors inside, and the converter's description.

Inputs, outputs and signatures keep their names. What the short ones stand for is kept in the file's card.
"""

import string

from lowbit.runtime import flatbuffer

_DIGITS = string.digits + string.ascii_lowercase


def slim(content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The file with tensors named by their number, and the names that they had, by this number.

    Tensors inside branches and loops are named after the number of their graph already. Computes the same bits.
    """
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    names = tuple(flatbuffer.text(tensor.name) for tensor in graph.tensors)
    ends = {int(number) for number in [*graph.inputs, *graph.outputs]}
    taken = {names[number] for number in ends}
    for number, tensor in enumerate(graph.tensors):
        if number not in ends:
            short = _short(number)
            tensor.name = names[number] if short in taken else short
    model.description = None
    return flatbuffer.write(model), names


def _short(number: int) -> str:
    """In base 36.

    >>> _short(0), _short(35), _short(36), _short(1295)
    ('0', 'z', '10', 'zz')
    """
    left, digit = divmod(number, len(_DIGITS))
    return (_short(left) if left else "") + _DIGITS[digit]
