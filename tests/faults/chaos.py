"""Everything at once, by chance: messages doubled, late, lost and out of order, workers side by side, and deaths."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from sandbox.memory_storage import Message
from shared.errors import AppError
from shared.harvest.plan.messages import WakeUp
from shared.harvest.plan.run import Run
from shared.harvest.runs.sweep import sweep
from shared.harvest.runs.waking import receive
from tests.faults.points import Fate, Killed, Point
from tests.faults.process import Errand
from tests.faults.promises import check_whole
from tests.faults.scenarios import Scenario, begun, check_published
from tests.faults.world import Host, Simulation, World

ROUNDS = 60


@dataclass
class Turmoil:
    """Lets processes get in each other's way at every point, and some of them die."""

    random: Random
    mortality: float
    deaths: int = 0

    async def __call__(self, _: Point) -> None:
        if self.random.random() < self.mortality:
            self.deaths += 1
            raise Killed
        for _turn in range(self.random.randrange(3)):
            await asyncio.sleep(0)


@dataclass
class Chaos:
    """One run of a scenario, in which nothing can be relied upon.

    Args:
        seed: The same seed gives the same misfortunes, but for the order in which threads end.
        mortality: The chance to die at a point.
    """

    scenario: Scenario
    seed: int
    mortality: float = 0.01
    deaths: int = field(default=0, init=False)

    async def play(self, simulation: Simulation) -> None:
        """Live through it, and then let everything go well.

        Raises:
            AssertionError: Something does not hold that has to.
        """
        random = Random(self.seed)  # noqa: S311 - chance, no secret
        fate = Turmoil(random, self.mortality)
        world = await self.scenario.opened(simulation)
        host = Host(world)
        run = await begun(host, self.scenario)
        heard = [message.body for message in world.messages]
        for _ in range(ROUNDS):
            await self._round(world, random, fate)
            await check_whole(world.storage)
            heard += [message.body for message in world.messages if message.body not in heard]
        self.deaths = fate.deaths
        await host.settle()
        await self._echo(world, host, heard, run)
        await host.close()

    async def _round(self, world: World, random: Random, fate: Turmoil) -> None:
        """Something happens to some messages, and then some workers work."""
        world.clock.advance(seconds=random.choice((0, 1, 60, 400)))
        errands: list[Errand[object]] = [sweep] if random.random() < 0.1 else []
        for message in random.sample(world.messages, k=min(len(world.messages), 3)):
            match random.choice(("once", "twice", "kept", "late", "lost")):
                case "once":
                    world.drop(message)
                    errands.append(_working_on(message))
                case "twice":
                    world.drop(message)
                    errands += [_working_on(message), _working_on(message)]
                case "kept":
                    errands.append(_working_on(message))
                case "late":
                    message.visible_at += timedelta(minutes=random.randrange(120))
                case _:
                    world.drop(message)
        await asyncio.gather(*(attempt(world, errand, fate) for errand in errands))

    async def _echo(self, world: World, host: Host, heard: list[str], run: Run) -> None:
        """Every message comes once more, after the end; and all is as it was."""
        await check_published(world, run, self.scenario.datasets)
        before = [dict(blobs) for blobs in world.storage.blobs.values()]
        for body in heard:
            await host.deliver(Message(body, world.clock.now))
        await host.sweep()
        if before != [dict(blobs) for blobs in world.storage.blobs.values()]:
            raise AssertionError("a message that came after the end has changed something")


def _working_on(message: Message) -> Errand[object]:
    wake_up = WakeUp.from_json(message.body.encode())
    return lambda services: receive(services, wake_up)


async def attempt[T](world: World, errand: Errand[T], fate: Fate) -> list[T]:
    """Do an errand in a process of its own, and give what came of it: nothing, where the process died or failed."""
    process = world.process(fate)
    try:
        return [await process.run(errand)]
    except (Killed, AppError):
        return []
    finally:
        await process.close()
