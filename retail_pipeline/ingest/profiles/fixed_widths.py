"""Texts of fixed widths: where one column ends and the next begins, from blanks that stand in all lines."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

_FEWEST = 3


def widths_of(lines: Sequence[str]) -> tuple[int, ...] | None:
    """The widths of the columns that blanks part in all of these lines; None where they part none.

    Blanks belong to the text that they align: before numbers, after words.
    """
    texts = [line.rstrip() for line in lines if line.strip()]
    longest = max(map(len, texts), default=0)
    padded = [text.ljust(longest) for text in texts]
    used = [any(text[n] != " " for text in padded) for n in range(longest)]
    blocks: list[list[int]] = []
    for run in (
        [n for n, _ in run] for filled, run in groupby(enumerate(used), lambda pair: pair[1]) if filled
    ):
        # the second word of a few names is no column
        if blocks and run[0] - blocks[-1][-1] == 2 and not _mostly_filled(run, padded):
            blocks[-1] += run
        else:
            blocks.append(run)
    if len(texts) < 2 or len(blocks) < _FEWEST or any("\t" in text for text in texts):
        return None
    if not all(_mostly_filled(block, padded) for block in blocks):
        return None
    cuts = [0]
    for left, right in pairwise(blocks):
        begins = all(text[right[0]] != " " for text in padded)
        ends = all(text[left[-1]] != " " for text in padded)
        cuts.append(right[0] if begins and not ends else left[-1] + 1)
    return tuple(end - begin for begin, end in zip(cuts, [*cuts[1:], longest], strict=True))


def _mostly_filled(block: Sequence[int], lines: Sequence[str]) -> bool:
    return sum(bool(line[block[0] : block[-1] + 1].strip()) for line in lines) * 2 > len(lines)
