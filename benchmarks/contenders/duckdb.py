"""duckdb, which guesses types from the first lines, and converts the same parts without keys, hashes and rescue."""

import duckdb

from benchmarks.contenders import table, tables
from benchmarks.contenders.work import Work, items_of

prepare, clean = table.prepare, table.clean


def run(url: str, _: int) -> Work:
    """Convert every part."""
    engine = duckdb.connect(config={"autoinstall_known_extensions": False})
    folder, size = tables.prepare(url).folder, 0
    for part in sorted(folder.glob("night-0-*.gz")):
        target = part.with_suffix(".duckdb")
        lines = engine.read_json(str(part), format="newline_delimited")
        lines.write_parquet(str(target), compression="snappy")
        size += target.stat().st_size
        target.unlink()
    return Work(items_of(url), size)
