"""Until which day a blob is kept that is not a table, by what deletes it. Pure.

The days are those of the variable ``RETENTION_DAYS`` of the deployment, which is an output of its own name.
"""

import re
from datetime import date, datetime, timedelta
from typing import Final

from shared.azure.storage import Container
from shared.document import Document
from shared.errors import InvalidInput

_PAIR = re.compile(r"\s*(raw-cool|raw|runs|operations|deleted|evidence|logs)=(\d+)\s*")


class Retention(Document):
    """Days; the defaults are those of the template."""

    raw: int = 365
    runs: int = 60
    operations: int = 730
    deleted: int = 14
    evidence: int = 2555
    logs: int = 90

    @classmethod
    def parse(cls, text: str) -> "Retention":
        """Read ``raw=365,evidence=2555``.

        Raises:
            InvalidInput: It is not written so.
        """
        pairs = [_PAIR.fullmatch(one) for one in text.split(",") if one.strip()]
        if None in pairs:
            raise InvalidInput(
                f"RETENTION_DAYS is {text[:100]!r}",
                target="RETENTION_DAYS",
                remedy="Give kind=days,… as it was deployed.",
            )
        return cls.model_validate({pair[1]: int(pair[2]) for pair in pairs if pair})


class Stay(Document):
    """How long a blob stays.

    Attributes:
        until: The day on which it goes; ``None`` where no day is set.
        how: What ends it, in a few words.
    """

    until: date | None
    how: str


_RAW = "deleted by the lifecycle rule raw"
_BESIDE = "deleted by the sweep after the parts of its snapshot"
_RUN = "deleted by the sweep after 30 days, by the lifecycle rule runs at the latest"
_OPERATION = "deleted by the sweep after 30 days unless it is uncertain, by the lifecycle rule operations at the latest"
_EVIDENCE = "nobody can delete it before, and nothing deletes it by itself"

_RULES: Final = (
    (Container.INVENTORY, "raw/", "raw", _RAW),
    (Container.INVENTORY, "manifests/", "raw", _BESIDE),
    (Container.HARVEST_STATE, "runs/", "runs", _RUN),
    (Container.OPERATIONS, "operations/", "operations", _OPERATION),
    (Container.EVIDENCE, "", "evidence", _EVIDENCE),
)
_OTHERWISE: Final = {
    Container.HARVEST_STATE: "replaced or deleted within 30 days after the dataset was harvested without it",
    Container.OPERATIONS: "deleted when its operation is settled, or by the sweep",
}


def stay_of(container: Container, path: str, modified: datetime, kept: Retention) -> Stay:
    """Return how long a blob stays."""
    for where, prefix, days, how in _RULES:
        if where == container and path.startswith(prefix):
            until = (modified + timedelta(days=getattr(kept, days) + 1)).date()
            return Stay(until=until, how=how)
    return Stay(until=None, how=_OTHERWISE.get(container, "no rule deletes it"))
