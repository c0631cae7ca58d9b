"""One round with Opus: submit, list what is due, destroy, and deliver the destroy a second time."""

from dataclasses import dataclass
from typing import Final

import httpx

from sandbox.demo.api import ok
from sandbox.stack import Stack

CONNECTION: Final = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
RECORDS: Final = 40
REFUSED: Final = "demo-0007"
"""The record that the simulated Opus is told to refuse."""


@dataclass(frozen=True, slots=True)
class OpusRound:
    """What Opus was asked, and what became of it."""

    step: str
    outcome: str
    detail: str
    well: bool


async def opus_rounds(client: httpx.AsyncClient, stack: Stack) -> list[OpusRound]:
    """Submit records, see which are due, destroy them, and deliver the destroy a second time."""
    fault = {"method": "POST", "path": "/records/connector/records", "failRowKeys": REFUSED, "times": None}
    await ok(client.post(f"{stack.avepoint_url}/_sandbox/faults", json=[fault]))
    body = {"conflictOption": "Overwrite", "records": [_record(number) for number in range(RECORDS)]}
    submitted = (await ok(client.post(f"opus/connections/{CONNECTION}/records", json=body))).json()
    due = (await ok(client.get(f"opus/connections/{CONNECTION}/records/due", params={"top": "1000"}))).json()["value"]
    ids = [record["rowKey"] for record in due]
    key = {"Idempotency-Key": "demo"}
    destroyed = (await ok(client.post("opus/records/destroy", json={"ids": ids}, headers=key))).json()
    again = (await ok(client.post("opus/records/destroy", json={"ids": ids}, headers=key))).json()
    left = (await ok(client.get(f"opus/connections/{CONNECTION}/records/due"))).json()["value"]
    failures = ", ".join(f"{one['id']}: {one['message']}" for one in submitted["failed"])
    good = RECORDS - 1
    return [
        OpusRound(
            "submit", f"{submitted['succeeded']} of {RECORDS} submitted", failures, submitted["succeeded"] == good
        ),
        OpusRound("due", f"{len(ids)} due", f"{ids[0]} … {ids[-1]}" if ids else "", len(ids) == good),
        OpusRound(
            "destroy", f"{destroyed['succeeded']} destroyed", destroyed["operationId"], destroyed["succeeded"] == good
        ),
        OpusRound("destroy again", "the same answer, nothing sent", again["operationId"], again == destroyed),
        OpusRound("due", f"{len(left)} due", "", not left),
    ]


def _record(number: int) -> dict[str, str]:
    day = f"2026-01-{number % 28 + 1:02d}T08:30:00Z"
    people = {"createdBy": "user01@contoso.example", "modifiedBy": "user01@contoso.example"}
    times = {"timeCreated": day, "timeModified": day}
    return {"rowKey": f"demo-{number:04d}", "leafName": f"Contract {number}", **times, **people}
