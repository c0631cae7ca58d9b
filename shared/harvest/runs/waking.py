"""What a message of the queue ``harvest-slices`` sets in motion."""

from shared.harvest.plan.messages import WakeUp
from shared.harvest.plan.run import read_run
from shared.harvest.runs.start_order import begin_announced, wake_untaken
from shared.harvest.slices.worker import work
from shared.services import Services


async def receive(services: Services, message: WakeUp) -> None:
    """Do a slice of the partition that a message names, or see to it that the run it names has begun.

    Raises:
        StorageUnavailable: The same message should be tried again.
    """
    if message.address is not None:
        await work(services, message.address, guards=message.guards)
        return
    await begin_announced(services.storage, message.source, now=services.clock())
    run = await read_run(services.storage, message.run_id)
    if run is not None and run.finished_at is None:
        await wake_untaken(services.storage, run)
