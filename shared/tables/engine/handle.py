"""The engine's own connection, by name alone: whoever is given one need not load the engine."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

type Connection = duckdb.DuckDBPyConnection
