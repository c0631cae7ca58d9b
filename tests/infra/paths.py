"""Where the templates and their snapshots are."""

from sandbox.processes import ROOT

INFRA = ROOT / "infra"
SNAPSHOTS = ROOT / "tests" / "infra" / "snapshots"
