"""The build of a first snapshot: conversion, commit, history."""

import asyncio
import shutil

from benchmarks.contenders import tables
from benchmarks.contenders.work import Work


def prepare(url: str) -> None:
    """Write and publish the snapshot."""
    tables.prepare(url)


def run(url: str, _: int) -> Work:
    """Build the table."""
    return asyncio.run(tables.build(url))


def clean(url: str) -> None:
    """Delete what was written."""
    shutil.rmtree(tables.prepare(url).folder)
