"""The part of a partition under way: begun by a page, a blob once it is full, and counted in with what it holds."""

from datetime import timedelta

from shared.avepoint.catalog import Dataset
from shared.avepoint.fields import fields_of
from shared.avepoint.page import Page
from shared.harvest.plan import paths
from shared.harvest.plan.run import Address, Run
from shared.harvest.slices.parents.selector import oldest_by_parent
from shared.harvest.slices.part import PartWriter, part_hashes
from shared.harvest.slices.progress import Progress
from shared.harvest.snapshots.duplicates import KeyReader, line_hashes
from shared.harvest.snapshots.sorted_hashes import SortedHashes
from shared.services import Services


class OpenPart:
    """The part under way, if there is one.

    Attributes:
        seen: The lines that came before, and are left out.
        published: The lines of other snapshots, which are left out, too.
    """

    seen: SortedHashes | None = None
    published: SortedHashes | None = None

    def __init__(self, services: Services, run: Run, dataset: Dataset, address: Address, *, epoch: int) -> None:
        self._storage = services.storage
        self._settings = services.settings
        self._clock = services.clock
        self._run = run
        self._dataset = dataset
        self._address = address
        self._epoch = epoch
        self._keys = line_hashes if dataset.window else KeyReader(dataset).hashes
        self._writer: PartWriter | None = None
        self._ends = services.clock()

    @property
    def is_open(self) -> bool:
        """Whether there is one."""
        return self._writer is not None

    @property
    def is_full(self) -> bool:
        """Whether it is time to close it."""
        return self._writer is not None and (
            self._writer.size >= self._settings.part_bytes or self._clock() >= self._ends
        )

    def open(self, progress: Progress) -> PartWriter:
        """Begin a part behind those of ``progress``."""
        path = paths.part(
            self._run.run_id,
            self._dataset.source,
            self._dataset.name,
            self._address.partition,
            epoch=self._epoch,
            number=len(progress.parts),
        )
        self._writer = PartWriter(
            self._storage,
            path=path,
            partition=self._address.partition,
            keys=self._keys,
            hashes=part_hashes(self._dataset),
            seen=self.seen,
            published=self.published,
            ending=fields_of(self._dataset).ending,
        )
        self._ends = self._clock() + timedelta(seconds=self._settings.part_seconds)
        return self._writer

    async def add(self, page: Page, progress: Progress) -> None:
        """Take a page in; where no part is open, it begins one behind those of ``progress``."""
        await (self._writer or self.open(progress)).add(page)

    async def close(self, progress: Progress) -> Progress:
        """Make the part a blob, and return the progress with it."""
        if self._writer is None:
            return progress
        writer = self._writer
        part = await writer.finish()
        if self._dataset.key or self._dataset.window:
            await writer.hashes.store(self._storage, paths.keys(self._run.run_id, part.path))
        changes = {"parts": (*progress.parts, part), "dropped": progress.dropped + writer.dropped}
        progress = progress.model_copy(update=changes)
        if writer.open_items is not None:
            oldest = oldest_by_parent(writer.open_items.oldest, self._dataset.parent)
            progress = progress.with_open(writer.open_items.count, oldest)
        self._writer = None
        return progress

    async def abandon(self) -> None:
        """Forget the part."""
        if self._writer is not None:
            await self._writer.abandon()
            self._writer = None
