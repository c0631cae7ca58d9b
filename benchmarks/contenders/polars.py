"""polars, which guesses types from the first lines, and converts the same parts without keys, hashes and rescue."""

import polars as pl

from benchmarks.contenders import table, tables
from benchmarks.contenders.work import Work, items_of

prepare, clean = table.prepare, table.clean


def run(url: str, _: int) -> Work:
    """Convert every part."""
    folder, size = tables.prepare(url).folder, 0
    for part in sorted(folder.glob("night-0-*.gz")):
        target = part.with_suffix(".polars")
        pl.scan_ndjson(part, infer_schema_length=1000).sink_parquet(target, compression="snappy")
        size += target.stat().st_size
        target.unlink()
    return Work(items_of(url), size)
