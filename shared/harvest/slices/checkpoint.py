"""The checkpoint of a partition: who works on it, how far it is, and what it waits for."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Literal, Self, override

from shared.azure.bounded_map import bounded_map
from shared.azure.documents import Versioned, read_document, update
from shared.azure.lease import ATTEMPTS, LeasedDocument
from shared.azure.storage import Container, Storage
from shared.harvest.plan import paths
from shared.harvest.plan.run import Address
from shared.harvest.slices.progress import Progress

type PartitionState = Literal["waiting", "running", "done", "failed"]

ENDED: frozenset[PartitionState] = frozenset({"done", "failed"})

DEATHS = 20
"""How many workers in a row may stop without a word, before the partition fails."""


class Checkpoint(LeasedDocument):
    """The state of one partition of a run.

    Attributes:
        epoch: How many workers have taken the partition; the names of their parts carry it.
        restarts: How often the chain began again because its stored link had died.
        deaths: How many workers in a row have left their lease behind.
        outages: How many times in a row something that may pass has stood in the way.
        resume_at: Before when no worker shall begin.
        waits_for: What the partition waits for until then.
    """

    state: PartitionState = "waiting"
    epoch: int = 0
    restarts: int = 0
    deaths: int = 0
    outages: int = 0
    resume_at: datetime | None = None
    waits_for: str | None = None
    touched_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reason: str | None = None
    remedy: str | None = None
    progress: Progress = Progress()

    def taken(self, *, now: datetime) -> Self:
        """Return the checkpoint of the next worker, in an epoch of its own."""
        return self.model_copy(
            update={
                "state": "running",
                "epoch": self.epoch + 1,
                "deaths": self.deaths + (self.hold is not None),
                "resume_at": None,
                "waits_for": None,
                "touched_at": now,
                "started_at": self.started_at or now,
            }
        )

    def advanced(self, progress: Progress, *, now: datetime) -> Self:
        """Return the checkpoint with the progress of a part that has been written."""
        moved = {"attempts": 0, "deaths": 0, "outages": 0} if progress.parts != self.progress.parts else {}
        return self.model_copy(update={"progress": progress, "touched_at": now, **moved})

    def waiting(self, *, now: datetime, until: datetime | None, what: str | None, outages: int = 0) -> Self:
        """Return the checkpoint left to the next worker, from ``until`` on; ``what`` is waited for."""
        changes = {"touched_at": now, "resume_at": until, "waits_for": what, "outages": outages, "deaths": 0}
        return self.model_copy(update=changes)

    def restarted(self, *, now: datetime) -> Self:
        """Return the checkpoint at the first page again: what has been written so far does not exist any more."""
        kept = Progress(
            requests=self.progress.requests,
            retries=self.progress.retries,
            wait_seconds=self.progress.wait_seconds,
        )
        return self.model_copy(
            update={"epoch": self.epoch + 1, "restarts": self.restarts + 1, "progress": kept, "touched_at": now}
        )

    def ended(self, state: Literal["done", "failed"], *, now: datetime, reason: str = "", remedy: str = "") -> Self:
        """Return the checkpoint at its end, for good or ill."""
        return self.model_copy(
            update={
                "state": state,
                "hold": None,
                "resume_at": None,
                "waits_for": None,
                "touched_at": now,
                "finished_at": now,
                "reason": reason or None,
                "remedy": remedy or None,
            }
        )

    def reopened(self, *, now: datetime) -> Self:
        """Return a failed checkpoint that is to be tried again from where it stopped, failed parents included."""
        return self.model_copy(
            update={
                "state": "waiting",
                "finished_at": None,
                "reason": None,
                "remedy": None,
                "touched_at": now,
                "progress": self.progress.retried(now=now),
                **dict.fromkeys(("restarts", "attempts", "deaths", "outages"), 0),
            }
        )

    @override
    def after_attempt(self, error: Exception, now: datetime) -> Self:
        counted = super().after_attempt(error, now)
        if counted.attempts < ATTEMPTS:
            return counted
        return counted.ended(
            "failed",
            now=now,
            reason=f"an unexpected error ended the work {counted.attempts} times: {type(error).__name__}",
            remedy="Read the log of harvest_slice for this run, remove the cause, then resume the run.",
        )


def checkpoint_path(address: Address) -> str:
    """Return where the checkpoint of a partition is, in ``harvest-state``."""
    return paths.checkpoint(address.run_id, address.source, address.dataset, address.partition)


async def read_checkpoint(storage: Storage, address: Address) -> Versioned[Checkpoint]:
    """Return the checkpoint of a partition; before its first worker a fresh one, without ETag."""
    stored = await read_document(storage, Container.HARVEST_STATE, checkpoint_path(address), Checkpoint)
    return stored or Versioned(Checkpoint(), None)


async def change_checkpoint(
    storage: Storage, address: Address, change: Callable[[Checkpoint], Checkpoint | None]
) -> Checkpoint:
    """Change a checkpoint, whoever else works on it: a worker notices at its next write.

    Args:
        change: Gives the checkpoint wanted, or ``None`` to leave it.

    Returns:
        The checkpoint that stands.
    """
    standing = await update(
        storage,
        Container.HARVEST_STATE,
        checkpoint_path(address),
        Checkpoint,
        lambda checkpoint: change(checkpoint or Checkpoint()),
    )
    return standing or Checkpoint()


async def checkpoints_of(storage: Storage, addresses: Iterable[Address]) -> list[Checkpoint]:
    """Return the checkpoints of several partitions, in their order."""
    read = await bounded_map(partial(read_checkpoint, storage), addresses)
    return [checkpoint.value for checkpoint in read]


def last_end(checkpoints: Iterable[Checkpoint], default: datetime) -> datetime:
    """Return when the last of several partitions ended; the default where none has."""
    return max((one.finished_at for one in checkpoints if one.finished_at), default=default)
