# SPDX-License-Identifier: Apache-2.0
"""Where the time of a file goes: LiteRT has no profile in Python, so its parts are timed as files of their own."""

import os
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from lowbit.card import tensor_names
from lowbit.results import OpTime, Profile, SlowOp
from lowbit.runtime.arena import arena_bytes
from lowbit.runtime.explaining import reasons
from lowbit.runtime.interpreter import not_readable, read_content
from lowbit.runtime.pieces import Piece, Pieces
from lowbit.runtime.schema import read_graphs
from lowbit.runtime.together import measure_parts

SLOWEST = 5


def profile(path: str | os.PathLike[str], *, threads: int = 1) -> Profile:
    """Time by kind of op, measured here and now.

    Raises FileFormatError for an unusable file, InputError for threads below 1.
    """
    content = read_content(path)
    graphs = read_graphs(content, path)
    cut = Pieces(content)
    several = [piece for piece in cut.pieces if len(piece.positions) > 1]
    parts = [*cut.pieces, *(op for piece in several for op in cut.ops_of(piece))]
    wanted = {part.key: part for part in parts if not part.idle}
    names = tensor_names(path) or tuple(tensor.name for tensor in graphs[0].tensors)
    if len(names) < len(graphs[0].tensors):
        raise not_readable(path, f"its card names {len(names)} tensors of {len(graphs[0].tensors)}")
    shares, whole_ms = _shares(path, cut, list(wanted.values()), threads)
    single = [one for piece in cut.pieces for one in _split(cut, piece, shares)]
    kinds: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for op, share in single:
        kinds[op.op, op.delegated].append(share)
    times = [
        OpTime(op=name, count=len(found), delegated=delegated, share=sum(found))
        for (name, delegated), found in kinds.items()
    ]
    slowest = sorted(single, key=lambda one: -one[1])[:SLOWEST]
    found = Profile(
        whole_ms=whole_ms,
        partitions=sum(piece.delegated for piece in cut.pieces),
        delegated_share=sum(time.share for time in times if time.delegated),
        kinds=tuple(sorted(times, key=lambda time: -time.share)),
        slowest=tuple(
            SlowOp(op=op.op, layer=names[op.tensor], delegated=op.delegated, share=share) for op, share in slowest
        ),
        arena_bytes=arena_bytes(graphs),
        reasons=(),
    )
    return reasons(found, graphs[0])


def _split(cut: Pieces, piece: Piece, shares: Mapping[object, float]) -> list[tuple[Piece, float]]:
    """The ops of a piece with their parts of its share, in proportion to what each takes alone; idle ones take none."""
    ops = cut.ops_of(piece)
    if len(ops) == 1:
        return [(piece, shares.get(piece.key, 0.0))]
    total = sum(shares.get(op.key, 0.0) for op in ops)
    return [(op, shares[piece.key] * shares.get(op.key, 0.0) / total) for op in ops]


def _shares(
    path: str | os.PathLike[str], cut: Pieces, wanted: Sequence[Piece], threads: int
) -> tuple[dict[object, float], float]:
    """Each piece's time as a share of the whole file's, by key; and that one's milliseconds."""
    with tempfile.TemporaryDirectory(prefix="lowbit-") as folder:
        places = [Path(folder) / f"{number}.tflite" for number in range(len(wanted))]
        for place, piece in zip(places, wanted, strict=True):
            place.write_bytes(cut.content(piece))
        whole_ms, shares = measure_parts(path, places, threads=threads)
    return {piece.key: share for piece, share in zip(wanted, shares, strict=True)}, whole_ms
