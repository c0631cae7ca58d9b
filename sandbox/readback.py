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

    name: str
    items: int
    pages: int
    bytes: int
    verdict: str
    path: str
    faults: tuple[str, ...]


async def read_snapshot(inventory: ContainerClient, source: str, dataset: str, *, expected: int) -> Snapshot:
    """Read the newest snapshot of a dataset, all of it.

    Args:
        inventory: the container of the inventories.
        source: the source of the dataset.
        dataset: its name.
        expected: how many items AvePoint holds.
    """
    name = f"{source}/{dataset}"
    try:
        latest = json.loads(await _read(inventory, f"latest/{name}.json"))
    except ResourceNotFoundError:
        return Snapshot(name, 0, 0, 0, "none", "", ("nothing was published",))
    manifest = json.loads(await _read(inventory, latest["manifest"]))
    faults = [fault for part in manifest["parts"] for fault in await _part_faults(inventory, part)]
    if manifest["items"] != expected:
        faults.append(f"{manifest['items']} items, AvePoint holds {expected}")
    return Snapshot(
        name,
        manifest["items"],
        manifest["pages"],
        manifest["bytes"],
        manifest["verdict"],
        manifest["parts"][0]["path"],
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
