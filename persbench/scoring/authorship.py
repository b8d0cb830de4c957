"""Whose reply is it? A classifier over character n-grams that never saw the question it is asked about.

Its features are word-internal strings of one to four characters, the usual strong baseline of authorship attribution
(Stamatatos 2009, doi:10.1002/asi.21001). It tells voices apart, not positions: it stands beside the choice scores.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from persbench.errors import PersbenchError
from persbench.scoring.choice import credit
from persbench.scoring.stats import Interval, cluster_interval

if TYPE_CHECKING:
    from collections.abc import Iterable

SEED = 20_260


class Row(NamedTuple):
    """One authored reply.

    Attributes:
        text: The reply.
        author: Whose it is: a persona, or a persona at a stage, as the caller likes.
        question: What it answers; all replies to one question are held out together.
    """

    text: str
    author: str
    question: str


class AuthorshipClassifier:
    """Attributes replies to authors, with one model for each held-out question, fitted when first asked for.

    Twelve authors with forty answers each fit in about a quarter of a second a question.

    Attributes:
        authors: All authors, sorted; the order of the scores.
    """

    def __init__(self, rows: Iterable[tuple[str, str, str]], *, seed: int = SEED) -> None:
        """Keep the rows; nothing is fitted yet.

        Args:
            rows: (text, author, question) triples in any order; the order changes nothing.
            seed: Seed of the solver's coordinate order.

        Raises:
            PersbenchError: Fewer than two authors, or an author who answers one question only, so that nothing
                of theirs would be left to learn from while it is held out.
        """
        # the solver's result depends on the order of rows
        self._rows = sorted(Row(*row) for row in rows)
        self._seed = seed
        self._fitted: dict[str | None, Any] = {}
        answered: defaultdict[str, set[str]] = defaultdict(set)
        for row in self._rows:
            answered[row.author].add(row.question)
        self.authors = tuple(sorted(answered))
        self._questions = frozenset().union(*answered.values())
        thin = [author for author in self.authors if len(answered[author]) == 1]
        if len(self.authors) == 1 or not self.authors or thin:
            found = f"one question only from {', '.join(thin)}" if thin else f"authors: {len(self.authors)}"
            raise PersbenchError(
                f"authorship needs two authors or more, each with answers to two questions or more; found {found}",
            )

    def predict(self, text: str, question: str) -> dict[str, float] | None:
        """Score every author for a text, by a model that saw no reply to its question.

        Args:
            text: The reply to attribute.
            question: The question it answers; one that has no rows is served by a model of all rows.

        Returns:
            Author -> signed distance from that author's hyperplane (no unit, higher is likelier), all authors,
            sorted by name; None for a blank text, which is nobody's.
        """
        if not text.strip():
            return None
        distances = np.ravel(self._model(question).decision_function([text]))
        if len(self.authors) == 2:  # noqa: PLR2004 - one hyperplane between two authors; the second is its positive side
            distances = np.array([-distances[0], distances[0]])
        return dict(zip(self.authors, map(float, distances), strict=True))

    def credit(self, text: str, question: str, author: str) -> float | None:
        """1 if `author` scores best, 1/k in a tie of k, else 0; None where `predict` gives None.

        Raises:
            ValueError: The author has no rows.
        """
        if author not in self.authors:
            raise ValueError(f"unknown author {author!r}; known: {', '.join(self.authors)}")
        scores = self.predict(text, question)
        return None if scores is None else credit(list(scores.values()), (self.authors.index(author),))

    def _model(self, question: str) -> Any:
        # all questions without rows share the model of all rows
        held_out = question if question in self._questions else None
        if held_out not in self._fitted:
            seen = [row for row in self._rows if row.question != held_out]
            model = make_pipeline(
                TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True),
                LinearSVC(random_state=self._seed),
            )
            self._fitted[held_out] = model.fit([row.text for row in seen], [row.author for row in seen])
        return self._fitted[held_out]


def cross_validated_accuracy(rows: Iterable[tuple[str, str, str]], *, seed: int = SEED) -> Interval:
    """How well authored replies are told apart, leaving one question out at a time: the ceiling for systems' replies.

    Args:
        rows: (text, author, question) triples.
        seed: Seed of the solver; the bootstrap has its own.

    Returns:
        Mean credit over rows (chance is one by the number of authors), 95% interval clustered by question.

    Raises:
        PersbenchError: The rows are too few (see `AuthorshipClassifier`).
    """
    listed = [Row(*row) for row in rows]
    classifier = AuthorshipClassifier(listed, seed=seed)
    credits_ = [classifier.credit(row.text, row.question, row.author) for row in listed]
    return cluster_interval(credits_, [row.question for row in listed])
