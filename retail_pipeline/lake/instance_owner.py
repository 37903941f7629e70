"""Whose lake it is: the one Dagster instance whose runs write to it.

The lock (``lock.py``) keeps two runs apart; this keeps apart two installations that know nothing of each
other's files, runs and schedules.
"""

from __future__ import annotations

from retail_pipeline.lake.partitions import Lake, LakeError, replace_file
from retail_pipeline.planning.manifests import Frozen

OWNER_FILE = ".instance.json"


class Owner(Frozen):
    """A Dagster instance: its lasting id, and where it was when it took the lake, for people."""

    instance: str
    where: str

    def __str__(self) -> str:
        return f"{self.where} ({self.instance[:8]})"


def read_owner(lake: Lake) -> Owner | None:
    """The instance that the lake belongs to, if any has written to it."""
    path = lake.root / OWNER_FILE
    try:
        return Owner.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LakeError(
            f"{path} does not say whose lake it is: `retail-pipeline lake adopt` writes it anew ({error})"
        ) from error


def refuse_stranger(lake: Lake, me: Owner | None) -> None:
    """Refuse an instance that the lake does not belong to; None, one that will not last, never is."""
    owner = read_owner(lake) if me else None
    if me and owner and owner.instance != me.instance:
        raise LakeError(
            f"the lake {lake.root} belongs to the Dagster instance {owner}, and this is {me}: name the "
            "DAGSTER_HOME, lake or settings that you meant; or, if the other instance is gone, hand the lake "
            "over with `retail-pipeline lake adopt`"
        )


def claim(lake: Lake, me: Owner | None) -> None:
    """Make the lake this instance's, if it is nobody's. The lake's lock must be held."""
    refuse_stranger(lake, me)
    if me and read_owner(lake) is None:
        adopt(lake, me)


def adopt(lake: Lake, me: Owner) -> None:
    """Make the lake this instance's, whosesoever it was. The lake's lock must be held."""
    replace_file(lake, lake.root / OWNER_FILE, (me.model_dump_json(indent=1) + "\n").encode())
