"""What is wrong with chains of evidence, and what their own pieces declare. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

from shared.opus.evidence.documents import Break, Declared, Head, Sealed, Subject
from shared.opus.evidence.survey import Found
from shared.opus.ledger.documents import Cancellation, Operation, Order, Outcome, Resolution


@dataclass(frozen=True, slots=True)
class Known:
    """An operation that the ledger knows, where its evidence lies, and its result, once there is one.

    Attributes:
        outcomes: What came of its batches, by their numbers, as far as it was read.
        cancellation: Who ended it, as far as it was read.
    """

    path: str
    order: Order
    finished: Operation | None
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)
    cancellation: Cancellation | None = None

    def fits(self, piece: Sealed) -> bool:
        """Whether a piece says the same: what was asked, the answer to each batch once, and who ended it."""
        return (
            (piece.order, piece.operation) == (self.order, self.finished)
            and sorted(each.batch for each in piece.batches) == [*range(self.order.batch_count)]
            and all(self.outcomes.get(each.batch, each) == each for each in piece.batches)
            and (not self.outcomes or piece.cancellation == self.cancellation or self._was_ended_later(piece))
        )

    def _was_ended_later(self, piece: Sealed) -> bool:
        """Whether somebody may have ended the operation only when its evidence was being written."""
        failed = self.finished.failed if self.finished else ()
        return piece.cancellation is None and all(item.code != "Cancelled" for item in failed)


@dataclass(frozen=True, slots=True)
class KnownResolution:
    """What the ledger knows that a person said, where the evidence of it lies, and whether that has to be there."""

    path: str
    said: Resolution
    kept: bool


@dataclass(frozen=True, slots=True)
class SeenPiece:
    """All there is to compare.

    Attributes:
        found: Pieces that can be read, and whose own hash is right.
        unreadable: Paths of what is there and is not such a piece.
        heads: The heads of the chains.
        earlier: Pieces from before the first day that was asked for, as far as others name them: path to hash.
        ledger: The operations that the ledger knows.
        resolutions: What the ledger knows that people said of them.
        forgotten_before: The paths before this one belong to days that the ledger may have forgotten.
        anchor: What was logged when pieces were written: path to hashes.
        declared: What other pieces of each caller declare.
    """

    found: Sequence[Found]
    unreadable: Sequence[str] = ()
    heads: Sequence[Head] = ()
    earlier: Mapping[str, str] = field(default_factory=dict)
    ledger: Sequence[Known] = ()
    resolutions: Sequence[KnownResolution] = ()
    forgotten_before: str = ""
    anchor: Mapping[str, frozenset[str]] = field(default_factory=dict)
    declared: Mapping[str, Sequence[Declared]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvidenceChain:
    """The pieces of one caller, in order, and what they declare."""

    caller: str
    pieces: Sequence[Found]
    declared: Sequence[Declared]

    def excuses(self, kind: Break, sequence: int) -> bool:
        """Whether a piece of the chain declares such a break at a link."""
        return any(each.kind == kind and each.sequence <= sequence <= each.through for each in self.declared)

    def has_lost(self, path: str, sequence: int) -> bool:
        """Whether a piece declares another one as lost: the same subject may have a piece again, at a later link."""
        return any(each.kind == "gap" and (each.path, each.sequence) == (path, sequence) for each in self.declared)


def problems(seen: SeenPiece) -> Iterator[str]:
    """Yield what is wrong, one line each."""
    yield from (f"{path}: cannot be read as evidence, or was changed" for path in sorted(seen.unreadable))
    yield from _misplaced(seen.found)
    hashes = {**seen.earlier, **{one.path: one.sha256 for one in seen.found}}
    heads = {head.link.caller: head for head in seen.heads}
    chains = {chain.caller: chain for chain in evidence_chains(seen.found, seen.declared)}
    callers = {one.path: one.piece.chain.caller for one in seen.found}
    for chain in chains.values():
        yield from _broken_links(chain, hashes)
        yield from _strange_links(chain, callers)
        yield from _forks(chain)
    for caller in sorted(chains.keys() | heads.keys()):
        yield from _wrong_end(caller, chains.get(caller), heads.get(caller), hashes)
    yield from _against_ledger(seen, chains)
    yield from _resolutions_against_ledger(seen, chains)
    yield from _against_anchor(seen, chains, hashes)


def _misplaced(found: Iterable[Found]) -> Iterator[str]:
    """Yield pieces that were moved: a piece of another place would not be held against what the ledger knows."""
    for path, _, piece in sorted(found, key=lambda one: one.path):
        if piece.order:
            place, caller = Subject.operation(piece.order).path.removesuffix(".json"), piece.order.caller
        elif piece.resolution:
            place, caller = f"{path.partition('/')[0]}/{piece.operation_id}", piece.resolution.caller
        else:
            continue
        if not path.startswith(place) or piece.chain.caller != caller:
            yield f"{path}: tells of another operation or caller than its place"


def declarations(seen: SeenPiece) -> Iterator[str]:
    """Yield the breaks that the pieces themselves declare, one line each."""
    for chain in evidence_chains(seen.found):
        for one in chain.pieces:
            for each in one.piece.chain.declared:
                span = f"{each.sequence}" if each.sequence == each.through else f"{each.sequence} to {each.through}"
                yield f"{each.path}: {each.kind} at link {span} of {chain.caller}, declared by {one.path}"


def evidence_chains(
    found: Iterable[Found], declared: Mapping[str, Sequence[Declared]] = MappingProxyType({})
) -> list[EvidenceChain]:
    """Return the chains that pieces make, in order of caller, with what others ``declared`` of them."""
    pieces: dict[str, list[Found]] = defaultdict(list)
    for one in found:
        pieces[one.piece.chain.caller].append(one)
    return [
        EvidenceChain(
            caller,
            sorted(pieces[caller], key=lambda one: (one.piece.chain.sequence, one.path)),
            [*declared.get(caller, ()), *(each for one in pieces[caller] for each in one.piece.chain.declared)],
        )
        for caller in sorted(pieces)
    ]


def _broken_links(chain: EvidenceChain, hashes: Mapping[str, str]) -> Iterator[str]:
    numbers = {one.path: one.piece.chain.sequence for one in chain.pieces}
    for one in chain.pieces:
        link = one.piece.chain
        previous = link.previous
        if (previous is None) != (link.sequence == 1):
            yield f"{one.path}: link {link.sequence} does not say what came before it"
        elif previous is None:
            continue
        elif (number := numbers.get(previous.path, link.sequence - 1)) != link.sequence - 1:
            if not (number > link.sequence and chain.has_lost(previous.path, link.sequence - 1)):
                yield f"{one.path}: is link {link.sequence} and follows link {number}"
        elif previous.path not in hashes:
            if not (chain.excuses("gap", link.sequence - 1) or chain.excuses("pruned", link.sequence - 1)):
                yield f"{previous.path}: is missing; {one.path} follows it"
        elif hashes[previous.path] != previous.sha256:
            yield f"{previous.path}: is not what it was when {one.path} followed it"


def _strange_links(chain: EvidenceChain, callers: Mapping[str, str]) -> Iterator[str]:
    for one in chain.pieces:
        previous = one.piece.chain.previous
        if previous and (caller := callers.get(previous.path, chain.caller)) != chain.caller:
            yield f"{one.path}: follows a piece of the chain of {caller}"


def _forks(chain: EvidenceChain) -> Iterator[str]:
    for one, other in pairwise(chain.pieces):
        number = other.piece.chain.sequence
        if one.piece.chain.sequence == number and not chain.excuses("fork", number):
            yield f"{other.path}: is link {number} of {chain.caller}, and so is {one.path}"


def _wrong_end(caller: str, chain: EvidenceChain | None, head: Head | None, hashes: Mapping[str, str]) -> Iterator[str]:
    last = chain.pieces[-1] if chain else None
    if head is None:
        if last:
            yield f"{last.path}: the chain of {caller} has no head"
    elif last and last.piece.chain.sequence > head.link.sequence:
        yield f"{last.path}: stands after the head of the chain of {caller}"
    elif head.path not in hashes:
        yield f"{head.path}: is missing at the end of the chain of {caller}; it may be about to be written: try again"
    elif head.sha256 and hashes[head.path] != head.sha256:
        yield f"{head.path}: is not what it was when the head of the chain of {caller} was written"


def _against_ledger(seen: SeenPiece, chains: Mapping[str, EvidenceChain]) -> Iterator[str]:
    pieces = {one.path: one for one in seen.found}
    excused = {*seen.unreadable, *seen.earlier, *_lost(chains)}
    for known in seen.ledger:
        one = pieces.get(known.path)
        if known.finished is None:
            continue
        if one is None:
            if known.path not in excused:
                yield f"{known.path}: is missing; the ledger knows its operation as finished"
        elif not known.fits(one.piece):
            yield f"{known.path}: is not what the ledger knows of its operation"
    paths = {known.path for known in seen.ledger}
    strange = [one for one in seen.found if one.piece.operation and one.path not in paths]
    yield from (f"{path}: the ledger knows no such operation" for path in _not_excused(strange, seen, chains))


def _resolutions_against_ledger(seen: SeenPiece, chains: Mapping[str, EvidenceChain]) -> Iterator[str]:
    pieces = {one.path: one for one in seen.found}
    excused = {*seen.unreadable, *seen.earlier, *_lost(chains)}
    for known in seen.resolutions:
        one = pieces.get(known.path)
        if one is None:
            if known.kept and known.path not in excused:
                yield f"{known.path}: is missing; the ledger knows what was said"
        elif one.piece.resolution != known.said:
            yield f"{known.path}: is not what the ledger knows that was said"
    paths = {known.path for known in seen.resolutions}
    strange = [one for one in seen.found if one.piece.resolution and one.path not in paths]
    yield from (f"{path}: the ledger does not know that this was said" for path in _not_excused(strange, seen, chains))


def _not_excused(strange: Iterable[Found], seen: SeenPiece, chains: Mapping[str, EvidenceChain]) -> Iterator[str]:
    """Yield the paths of pieces that the ledger should know: it neither forgets them so early, nor was restored."""
    for path, _, piece in sorted(strange):
        if path < seen.forgotten_before or chains[piece.chain.caller].excuses("restored", piece.chain.sequence):
            continue
        yield path


def _lost(chains: Mapping[str, EvidenceChain]) -> set[str]:
    """Return the paths of pieces that others declare as lost."""
    return {each.path for chain in chains.values() for each in chain.declared if each.kind == "gap"}


def _against_anchor(seen: SeenPiece, chains: Mapping[str, EvidenceChain], hashes: Mapping[str, str]) -> Iterator[str]:
    missing = sorted(seen.anchor.keys() - hashes.keys() - {*seen.unreadable})
    pruned = _pruned(chains, missing)
    yield from (
        f"{path}: is missing, and was written according to the anchor" for path in missing if path not in pruned
    )
    for path, logged in sorted(seen.anchor.items()):
        if path in hashes and path not in seen.unreadable and hashes[path] not in logged:
            yield f"{path}: is not what was written according to the anchor"
    for chain in chains.values():
        numbers = [one.piece.chain.sequence for one in chain.pieces if one.path in seen.anchor]
        for one in chain.pieces:
            if numbers and min(numbers) < one.piece.chain.sequence < max(numbers) and one.path not in seen.anchor:
                yield f"{one.path}: is not in the anchor, and pieces before and after it are"


def _pruned(chains: Mapping[str, EvidenceChain], missing: Sequence[str]) -> frozenset[str]:
    """Return the missing pieces that chains declare as pruned; none of them where more are missing than that.

    An anchor does not say which chain a piece belongs to: pieces are known by their days, and by their number.
    """
    words = [one.piece for chain in chains.values() for one in chain.pieces]
    edge = max((f"date={word.before.isoformat()}/" for word in words if word.before), default="")
    pieces = sum(
        max((each.through for each in chain.declared if each.kind == "pruned"), default=0) for chain in chains.values()
    )
    old = frozenset(path for path in missing if path < edge)
    return old if len(old) <= pieces else frozenset()
