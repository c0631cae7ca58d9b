"""What becomes of the state of a table from one step of a build to the next. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.clock import is_recent
from shared.errors import MissingDocument
from shared.harvest.snapshots.manifest import Latest, Manifest
from shared.tables.build.planning import NextBuild, is_late
from shared.tables.build.state import Build, Ground, TableState
from shared.tables.schema.columns import Column, TableSchema, TableSpec
from shared.tables.schema.policy import decide

RETRIED_AFTER: Final = timedelta(hours=1)
"""A build that failed is tried again after this time, or with the next snapshot."""


def is_due(state: TableState, latest: Latest, *, now: datetime) -> bool:
    """Return whether there is something to do for the table of a dataset."""
    if state.build is not None or state.redo is not None or state.requested is not None:
        return True
    if state.reason is not None and state.failed_run == latest.run_id and state.touched_at is not None:
        return not is_recent(state.touched_at, within=RETRIED_AFTER, now=now)
    return latest.run_id not in state.ground.applied


def under_way(build: Build, published: Sequence[Manifest]) -> NextBuild:
    """Return the snapshot that a build under way takes in."""
    found = {one.run_id: one for one in published}
    if build.run_id not in found:
        raise MissingDocument(f"the manifest of {build.run_id} is not there any more", remedy="Rebuild the table.")
    return NextBuild(found[build.run_id], tuple(found[one] for one in build.skipped if one in found))


def fixed_fields(ground: Ground) -> frozenset[str]:
    """Return the fields whose type is decided."""
    return ground.table_schema.fields if ground.table_schema.decided else frozenset()


def decided(build: Build, ground: Ground, spec: TableSpec) -> Build:
    """Return the build with the schema of its snapshot; parts that it changes are converted again."""
    schema = decide(ground.table_schema, spec, build.findings, build.run_id)
    before, after = _shape(build.table_schema), _shape(schema)
    retyped = any(after.get(field) != column for field, column in before.items())
    new = after.keys() - before.keys()
    parts = tuple(part for part in build.parts if not (retyped or new & part.findings.fields.keys()))
    return build.model_copy(update={"table_schema": schema, "decided": True, "parts": parts})


def _shape(schema: TableSchema) -> dict[str, tuple[str, str]]:
    def shape(column: Column) -> tuple[str, str]:
        return column.name, column.type

    return {column.field: shape(column) for column in schema.columns}


def ground_after(ground: Ground, build: Build, manifest: Manifest) -> Ground:
    """Return what the next snapshot is compared with."""
    tenants = manifest.tenants
    late = is_late(ground, manifest)
    found = build.findings
    return ground.passing_over((*build.skipped, build.run_id)).model_copy(
        update={
            "run_id": ground.run_id if late else build.run_id,
            "table_schema": build.table_schema,
            "present": frozenset(found.fields) if found.rows and not late else ground.present,
            "tenants": frozenset(one.casefold() for one in tenants) if tenants else None,
            "parents": build.parents or ground.parents,
            "forgotten": ground.forgotten if late else 0,
        }
    )


def grounded(state: TableState, ground: Ground) -> TableState:
    """Return the state with another ground: that of the table that is made again, if one is."""
    if state.redo is not None:
        return state.model_copy(update={"redo": state.redo.model_copy(update={"ground": ground})})
    return state.model_copy(update={"ground": ground})


def committed(state: TableState, ground: Ground, *, version: int, rows: int, now: datetime) -> TableState:
    """Return the state after a build whose commits are all there."""
    return state.model_copy(
        update={
            "ground": ground,
            "sequence": state.sequence + 1,
            "version": version,
            "rows": rows,
            "built_at": now,
            "touched_at": now,
            "build": None,
            "reason": None,
            "remedy": None,
            "attempts": 0,
        }
    )
