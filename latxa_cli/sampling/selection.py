"""What is kept of what a model wrote, by the verbs that make training data: filters, tags, a search for repeats."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latxa_cli.model import check
from latxa_cli.sampling.filters import Filters, check_filters
from latxa_cli.sampling.tags import FOLDER, Tag, Tagger, load_tags
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.tables import own_files

if TYPE_CHECKING:
    from latxa_cli.generation.speaker import Speaker
    from latxa_cli.sampling.meanings import Meanings
    from latxa_cli.stream.records import Outcome, Record
    from latxa_cli.stream.run import Run


@dataclass(frozen=True, slots=True)
class Selection:
    """`language`: of the instructions that are kept, or None, any; `skip`: the filters and tags that are left out;
    `embedder`: the model of sentences by which instructions mean the same, from the cosine `similarity` on."""

    language: str | None
    skip: frozenset[str]
    tags: tuple[Tag, ...]
    embedder: str | None = None
    similarity: float | None = None

    def filters(self, speaker: Speaker) -> Filters:
        return Filters(speaker.markers, self.skip, self.language)

    def tagger(self, speaker: Speaker) -> Tagger:
        """Return what asks for the tags; a model that can be told is told not to think about them."""
        thinking = False if speaker.can_be_told else speaker.thinking
        return Tagger(self.tags, thinking, speaker.can_think and not speaker.can_be_told, self.skip)

    def without_repeats(
        self, outcomes: Iterable[Outcome], before: Iterable[Record], *, device: str | None
    ) -> Iterator[Outcome]:
        """Return outcomes, in place of conversations whose instruction was there before a reject.

        `before`: the conversations that an interrupted run had kept; `device`: the embedder's.
        """
        if "duplicate" in self.skip:
            return iter(outcomes)
        from latxa_cli.sampling.distinct import Distinct  # its kernels take half a second to load

        seen = Distinct(near="near" not in self.skip, meanings=self._meanings(device))
        seen.remember(before)
        return seen.filter(outcomes)

    def _meanings(self, device: str | None) -> Meanings | None:
        if self.embedder is None:
            return None
        from latxa_cli.sampling.meanings import SIMILARITY, Meanings
        from latxa_cli.text.embedding import Embedder

        similarity = SIMILARITY if self.similarity is None else self.similarity
        return Meanings(Embedder(self.embedder, device).embed, similarity)


def select(
    run: Run,
    filters: Collection[str],
    *,
    language: str | None,
    skip: Sequence[str] | None,
    tag: Sequence[str] | None,
    embedder: str | None,
    similarity: float | None,
) -> Selection:
    """Return the selection that flags ask for, of a verb that has `filters`; what it depends on is told to the run.

    Raises UsageError for flags that cannot be, LatxaError for a bad file of a tag, or an embedder that is none.
    """
    if embedder:
        if "duplicate" in (skip or ()):
            raise UsageError(
                "`--embedder` finds repeats, and `--skip duplicate` lets them be", hint="leave one of them out"
            )
        check(embedder)
    tags = load_tags(tag or ())
    check_filters(skip or (), (*filters, *(one.name for one in tags)), language)
    run.depends_on(embedder)
    run.depends_on(*own_files("--tag", tag or (), FOLDER))
    return Selection(language, frozenset(skip or ()), tags, embedder, similarity)


def say_unread(run: Run, tagger: Tagger) -> None:
    """Say for how many instructions the model told no label."""
    for name, unread in tagger.unread.items():
        run.say(f"{unread:,} instructions have no `{name}`: the model told none of its labels")
