"""Opus operations by the thousand, under faults and kills: what was told is held against what Opus did."""

from collections import Counter

from tests.opus.operations import test_flows
from tests.opus.operations.test_flows import played_with

PROMISES = (
    test_flows.test_every_operation_ends_and_adds_up,
    test_flows.test_no_flow_was_told_anything_else_than_the_ledger_says,
    test_flows.test_no_record_was_destroyed_twice_or_without_being_asked,
    test_flows.test_what_was_destroyed_was_never_asked_for_again,
    test_flows.test_every_outcome_of_a_destroy_is_what_opus_did,
    test_flows.test_every_outcome_of_a_submit_is_what_opus_did,
    test_flows.test_every_operation_has_its_evidence_in_a_whole_chain,
)


def soak_operations(count: int, seed: int) -> str:
    """Play ``count`` operations, and say what came of them.

    Raises:
        AssertionError: An outcome is false, or another promise is broken.
    """
    played = played_with(seed, count)
    for promise in PROMISES:
        promise(played)
    statuses = Counter(operation.status for operation in played.accepted.values())
    told = ", ".join(f"{number} {status}" for status, number in statuses.most_common())
    return f"{len(played.accepted)} Opus operations, {played.world.deaths} kills: {told}; 0 false outcomes"
