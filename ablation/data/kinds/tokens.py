"""Tokens: texts as whole numbers, all of one length; 0 stands where a text has ended."""

import os
import stat
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ablation.config import UserError, expanded, first_line
from ablation.data.kinds.common import InMemory, Meta, Noun, Picture, check_same, shape_of

PADDING = 0
_WHAT = "a file with a word a line, or how many numbers there are, such as 5000"
_SCALE, _COLUMNS, _LINES = 1.9, 20, 8


class Tokens(InMemory):
    """See `Kind`."""

    name = "tokens"
    noun = Noun("text", "texts")
    numbers, alike = "whole numbers of the vocabulary", "token by token"
    refuses = (
        "dataset.image_size",
        "dataset.resize",
        "dataset.augment",
        "dataset.normalisation",
        "recipe.mixup",
        "recipe.cutmix",
        "recipe.random_erasing",
        "recipe.trivial_augment",
    )

    def fits(self, array: np.ndarray) -> bool:
        """Two axes of whole numbers."""
        return array.ndim == 2 and array.dtype.kind in "iu"

    def read(self, name: str, array: np.ndarray, where: str) -> np.ndarray:
        """Returns int32 (texts, length)."""
        if array.ndim != 2 or not array.shape[1]:
            hint = " Pad texts with 0 to one length." if array.ndim == 1 else ""
            raise UserError(
                f"{where}: {name} must be texts x length; it is {shape_of(array)}.{hint}"
            )
        if not len(array):
            raise UserError(f"{where}: {name} holds no texts.")
        if array.dtype.kind not in "iu":
            raise UserError(
                f"{where}: {name} must be whole numbers, one for each token; its type is "
                f"{array.dtype}."
            )
        least, greatest = int(array.min()), int(array.max())
        if least < 0 or greatest >= 2**31 - 1:
            wrong = least if least < 0 else greatest
            place = int(np.argmax((array == wrong).any(axis=1)))
            raise UserError(
                f"{where}: {name}[{place}] holds {wrong}; tokens are 0, where a text has ended, "
                "or more, and below 2,147,483,647."
            )
        return array.astype(np.int32)

    def stored(
        self, arrays: Mapping[str, np.ndarray], where: str
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Returns a text as it is."""
        check_same(arrays, where)
        return lambda text: text

    def files(self, dataset: Any) -> tuple[Path, ...]:
        """Returns that of the vocabulary."""
        given = getattr(dataset, "vocabulary", None)  # Not of a source that has no tokens.
        return () if given is None or given.isdecimal() else (_file(given),)

    def facts(
        self, train: np.ndarray, val: np.ndarray, dataset: Any, directory: Path
    ) -> dict[str, Any]:
        """Returns how many tokens there are, what they are called, and the texts with unseen ones.

        Raises:
            UserError: a text holds a token that is none.
        """
        words = _words(dataset.vocabulary)
        if dataset.vocabulary is None:
            size, of = int(train.max()) + 1, "those of the training texts"
        else:
            size = len(words) or int(dataset.vocabulary)
            if size < 1:
                raise UserError(f"dataset.vocabulary={dataset.vocabulary}: it is {_WHAT}.")
            of = f"those of dataset.vocabulary={dataset.vocabulary}"
        for what, texts in (("training", train), ("validation", val)):
            beyond = np.flatnonzero(texts.max(axis=1) >= size)
            if len(beyond):
                raise UserError(
                    f"{dataset.name}: {len(beyond):,} {what} texts hold tokens beyond {of}, which "
                    f"go up to {size - 1}; the first holds {texts[beyond[0]].max()}. "
                    f"dataset.vocabulary is {_WHAT}."
                )
        unseen = ~np.isin(val, np.unique(train)).all(axis=1)
        return {
            "shape": train.shape[1:],
            "vocabulary": size,
            "words": words,
            "unseen": int(unseen.sum()),
        }

    def affine(self, cache: Any, normalisation: str) -> None:
        """Returns None: a network looks tokens up."""

    def wrong(self, found: np.ndarray, meta: Meta) -> str | None:
        """Tokens are whole numbers of the vocabulary."""
        if found.dtype.kind not in "iu":
            return f"an array of {found.dtype}"
        if found.min() < 0 or found.max() >= meta["vocabulary"]:
            return f"tokens from {found.min()} to {found.max()}, of 0 to {meta['vocabulary'] - 1}"
        return None

    def picture(self, meta: Meta) -> Picture | None:
        """Returns the text, None where no words are known."""
        words = meta["words"]
        if not words:
            return None
        letters = all(len(word) == 1 for word in words[1:])

        def draw(axes: Any, text: np.ndarray, left: float, top: float, size: float) -> None:
            said = [words[token] for token in text if token != PADDING]
            lines = textwrap.wrap(("" if letters else " ").join(said), _COLUMNS) or [""]
            shown = lines[:_LINES]
            if len(lines) > _LINES:
                shown[-1] = f"{shown[-1][: _COLUMNS - 1]}…"
            place = left + 0.03 * size, top + size / 2
            axes.text(
                *place,
                "\n".join(shown),
                ha="left",
                va="center",
                size=6.5,
                family="monospace",
                parse_math=False,
            )

        return Picture(draw, _SCALE)


def _file(given: str) -> Path:
    """Returns the file of a vocabulary.

    Raises:
        UserError: it is none.
    """
    path = Path(os.path.realpath(expanded("dataset.vocabulary", given)))
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(
            f"dataset.vocabulary={given} cannot be read: {error.strerror}; it is {_WHAT}."
        ) from None
    if stat.S_ISDIR(mode):
        raise UserError(f"dataset.vocabulary={given} is a folder; it must be {_WHAT}.")
    return path


def _words(given: str | None) -> list[str]:
    """Returns the words of a vocabulary in the order of their tokens, [] if it has none."""
    if given is None or given.isdecimal():
        return []
    try:
        # Other characters that end a line to Python may be words.
        words = _file(given).read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:
        raise UserError(
            f"dataset.vocabulary={given} cannot be read: {first_line(error)}."
        ) from None
    if words == [""]:
        raise UserError(f"dataset.vocabulary={given} is empty; it is {_WHAT}.")
    return words


KIND = Tokens()
