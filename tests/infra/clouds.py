"""What a deployment comes to in another cloud of Azure: the compiler leaves open which one it is."""

import json
import re

from tests.infra.snapshot import Snapshot

_CHOICE = re.compile(r"createObject\(((?:'\w+', '[\w.]+'(?:, )?)+)\)\[environment\(\)\.name\]")
_JOINED = re.compile(r"\[format\('\{0\}/\{1\}', '([^']+)', '([^']+)'\)\]")
_ALONE = re.compile(r"\['([^']+)'\]")


def in_cloud(snapshot: Snapshot, cloud: str) -> Snapshot:
    """Return the snapshot with every choice by cloud made."""

    def chosen(choice: re.Match[str]) -> str:
        words = re.findall(r"'([^']+)'", choice[1])
        return f"'{dict(zip(words[::2], words[1::2], strict=True))[cloud]}'"

    text = _CHOICE.sub(chosen, json.dumps(snapshot.document))
    return Snapshot(json.loads(_ALONE.sub(r"\1", _JOINED.sub(r"\1/\2", text))))
