"""Output bindings: the answer of an HTTP function, and queues."""

from collections.abc import Iterable
from typing import Final

from sandbox.host.errors import StartError
from sandbox.host.queues.messages import Encoding, encode, texts
from sandbox.host.queues.storage import Queues, send
from sandbox.host.runtime import Binding, Function, Outcome

RETURN: Final = "$return"


class QueueOutputs:
    """The queue outputs of all functions.

    Raises:
        StartError: a function has a binding of a type that this host does not know, or a setting is missing.
    """

    def __init__(self, functions: Iterable[Function], queues: Queues, encoding: Encoding) -> None:
        self._encoding = encoding
        self._queues = {
            (function.name, binding["name"]): queues.of(function, binding)
            for function in functions
            for binding in function.others
            if _is_queue(function, binding)
        }

    async def send(self, function: Function, outcome: Outcome) -> None:
        """Send what a function gave its queues.

        Raises:
            AzureError: a message was not taken.
        """
        for name, given in (*outcome.outputs, (RETURN, outcome.returned)):
            if given and (queue := self._queues.get((function.name, name))):
                for text in texts(given):
                    await send(queue, encode(text, self._encoding))


def _is_queue(function: Function, binding: Binding) -> bool:
    """Whether a binding beside the trigger is a queue output; the only other one allowed is an HTTP answer."""
    kind, name = binding["type"], binding["name"]
    if kind == "queue" and binding["direction"] == "OUT":
        return True
    if kind == "http" and name == RETURN:
        return False
    raise StartError(f"function {function.name}: binding {name} of type {kind} is not supported by the local host")
