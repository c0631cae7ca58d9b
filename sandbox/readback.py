"""Reads a snapshot back from storage and checks it against its manifest, with nothing but gzip, json and hashlib."""

import gzip
import hashlib
import json
from dataclasses import dataclass

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What ``latest`` names, and what is wrong with it."""

    source: str
    dataset: str
    items: int
    pages: int
    bytes: int
    verdict: str
    path: str
    window: tuple[str, str] | None
    parents: int | None
    faults: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.source}/{self.dataset}"


async def read_snapshot(inventory: ContainerClient, source: str, dataset: str) -> Snapshot:
    """Read the newest snapshot of a dataset, all of it, from the container of the inventories."""
    try:
        latest = json.loads(await _read(inventory, f"latest/{source}/{dataset}.json"))
    except ResourceNotFoundError:
        return Snapshot(source, dataset, 0, 0, 0, "none", "", None, None, ("nothing was published",))
    manifest = json.loads(await _read(inventory, latest["manifest"]))
    faults = [fault for part in manifest["parts"] for fault in await _part_faults(inventory, part)]
    window = manifest["window"]
    return Snapshot(
        source,
        dataset,
        manifest["items"],
        manifest["pages"],
        manifest["bytes"],
        manifest["verdict"],
        manifest["parts"][0]["path"],
        (window["from"], window["to"]) if window else None,
        manifest["parents"]["asked"] if manifest["parents"] else None,
        tuple(faults),
    )


async def _part_faults(inventory: ContainerClient, part: dict[str, object]) -> list[str]:
    blob = await _read(inventory, str(part["path"]))
    lines = gzip.decompress(blob).splitlines()
    for line in lines:
        json.loads(line)
    found = {"bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest(), "items": len(lines)}
    return [f"{part['path']}: {key} is {value}" for key, value in found.items() if part[key] != value]


async def _read(inventory: ContainerClient, path: str) -> bytes:
    return await (await inventory.download_blob(path)).readall()
