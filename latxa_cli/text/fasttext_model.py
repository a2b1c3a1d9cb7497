"""Language identification by the user's fastText model file, such as GlotLID or lid.176.

The library does not check where a file ends: with a truncated download it crashes, or returns nonsense. So the file is
checked first. Its format is that of `FastText::saveModel` (fasttext.cc, args.cc, dictionary.cc, densematrix.cc,
quantmatrix.cc, productquantizer.cc), in little endian.
"""

from __future__ import annotations

import mmap
import re
import struct
from pathlib import Path
from types import ModuleType

from latxa_cli.stream.errors import LatxaError, UsageError, first_line

_MAGIC, _VERSIONS = 793712314, (11, 12)
_HEADER = struct.Struct("<2i 12i d")  # magic, version; dim, ws, epoch, minCount, neg, wordNgrams, loss, model, …
_MODEL, _SUPERVISED = 7, 3
_DICTIONARY = struct.Struct("<3i 2q")  # entries, words, labels, tokens, pruned buckets (-1: none)
_ENTRY = re.compile(rb"([^\0]*)\0.{8}([\0\1])", re.DOTALL)  # text, count (int64), kind (1: a label)
_DENSE = struct.Struct("<? 2Q")  # not quantised, rows, columns; then the float32 values
_QUANTISED = struct.Struct("<2? 2Q I")  # quantised, norms too, rows, columns, codes; then a byte for each code
_QUANTISER = struct.Struct("<4I")  # dimension …; then 256 float32 centroids of each dimension


class FastTextModel:
    """A classifier: called with a text, it returns the code of the most probable language, and its probability.

    - languages: the codes that it can return.
    - Labels such as `__label__eus_Latn` (GlotLID) and `__label__eu` (lid.176) become BCP-47 codes without script
      (`eu`), or that of the macrolanguage where this is usual (`et` for `ekk`).

    Raises UsageError where the package is not installed, LatxaError for a file that cannot be read.
    """

    def __init__(self, path: str) -> None:
        labels = read_labels(path)
        try:
            import fasttext
            import langcodes
        except ImportError as error:
            raise UsageError(
                f"a language model in fastText format needs the package `{error.name}`",
                hint="pip install 'latxa-cli[fasttext]'",
            ) from None
        self._codes = {label: _code(langcodes, label) for label in labels}
        self.languages = list(dict.fromkeys(self._codes.values()))
        try:
            self._model = fasttext.load_model(path)
        except (ValueError, MemoryError) as error:
            raise LatxaError(f"`{path}` cannot be loaded: {first_line(error)}") from None

    def __call__(self, text: str) -> tuple[str, float]:
        # The library accepts a single line, without lone surrogates.
        line = text.replace("\n", " ").encode("utf-8", "ignore").decode()
        labels, probabilities = self._model.predict(line, k=1)
        if not labels:  # the model knows no part of the text
            return "und", 0.0
        return self._codes[labels[0]], min(float(probabilities[0]), 1.0)


def _code(langcodes: ModuleType, label: str) -> str:
    """Return the BCP-47 code of a label's language, or the label itself if it names no language."""
    name = label.removeprefix("__label__")
    try:
        return langcodes.standardize_tag(name, macro=True).split("-")[0]
    except langcodes.LanguageTagError:
        return name


def read_labels(path: str) -> list[str]:
    """Return the labels of a fastText model; raises LatxaError unless the file is a complete classification model."""
    try:
        with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            labels = _labels(data, path)
    except OSError as error:
        raise LatxaError(f"`{path}` cannot be read ({error.strerror or error})") from None
    except (ValueError, struct.error):  # ValueError also for an empty file, which cannot be mapped
        raise LatxaError(f"`{path}` is damaged or cut off", hint="download the model again") from None
    return labels


def _labels(data: mmap.mmap, path: str) -> list[str]:
    """Read through a whole model; raises ValueError or struct.error where the file is inconsistent or too short."""
    magic, version, *settings = _HEADER.unpack_from(data)
    if magic != _MAGIC or version not in _VERSIONS:
        raise LatxaError(f"`{path}` is no fastText model", hint="a `.bin` or `.ftz` file is needed")
    if settings[_MODEL] != _SUPERVISED:
        raise LatxaError(f"`{path}` is a model of words, not one for classification", hint="such as GlotLID or lid.176")
    entries, _, _, _, pruned = _DICTIONARY.unpack_from(data, _HEADER.size)
    position = _HEADER.size + _DICTIONARY.size
    labels = []
    for _ in range(entries):
        entry = _ENTRY.match(data, position)
        if entry is None:
            raise ValueError("an entry is none")
        position = entry.end()
        if entry[2] == b"\1":
            labels.append(entry[1].decode())
    end = position + 8 * max(pruned, 0)
    for _ in ("input", "output"):
        end = _end_of_matrix(data, end)
    if end > len(data):
        raise ValueError("the file ends early")
    return labels


def _end_of_matrix(data: mmap.mmap, position: int) -> int:
    quantised, norms, rows, _, codes = _QUANTISED.unpack_from(data, position)
    if not quantised:
        _, rows, columns = _DENSE.unpack_from(data, position)
        return position + _DENSE.size + 4 * rows * columns
    end = _end_of_quantiser(data, position + _QUANTISED.size + codes)
    return _end_of_quantiser(data, end + rows) if norms else end


def _end_of_quantiser(data: mmap.mmap, position: int) -> int:
    dimension, *_ = _QUANTISER.unpack_from(data, position)
    return position + _QUANTISER.size + 4 * 256 * dimension
