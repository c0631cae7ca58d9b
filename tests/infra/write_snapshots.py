"""Write the committed snapshots: what ``make snapshots`` runs after a change to infra/."""

import pytest

from tests.infra.compiler import snapshot
from tests.infra.environments import ENVIRONMENTS
from tests.infra.paths import SNAPSHOTS

if __name__ == "__main__":
    try:
        written = {name: snapshot(variables).text for name, variables in ENVIRONMENTS.items()}
    except pytest.skip.Exception as missing:
        raise SystemExit(str(missing)) from None
    for name, text in written.items():
        (SNAPSHOTS / f"{name}.json").write_text(text)
