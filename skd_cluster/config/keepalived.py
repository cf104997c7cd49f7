"""The text of a keepalived.conf: words, blocks, comments. Nothing is included, substituted or run."""

import re
from dataclasses import dataclass

MAX_BYTES = 262_144
"""More is not the configuration of a pair."""

_DEEPEST = 16
_WORD = re.compile(r"""(?P<quoted>"[^"]*")|(?P<brace>[{}])|(?P<comment>[#!])|(?P<word>[^\s{}"#!]+)|(?P<odd>\S)""")


@dataclass(frozen=True, slots=True)
class Clause:
    """One line of the file, with the block that belongs to it. No repr of what is in it: it may be a password."""

    words: tuple[str, ...]
    line: int
    inner: "tuple[Clause, ...] | None" = None

    @property
    def name(self) -> str:
        """Return its keyword."""
        return self.words[0] if self.words else "{"

    def __repr__(self) -> str:
        """Leave out its arguments."""
        return f"Clause({self.name!r}, line={self.line})"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with the file, or with what it asks for; its line if it has one."""

    line: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """The clauses of the file in their order, and what is wrong with its text."""

    clauses: tuple[Clause, ...]
    troubles: tuple[Trouble, ...]


def parse(text: str) -> Parsed:
    """Read the text. Never raises; time grows with its size."""
    if len(text) > MAX_BYTES:
        return Parsed((), (Trouble(None, f"found more than {MAX_BYTES} bytes, expected a configuration"),))
    parser = _Parser()
    for number, line in enumerate(text.split("\n"), 1):
        parser.line(number, line)
        if parser.troubles:
            break
    return parser.result()


@dataclass(slots=True)
class _Open:
    """A block that is not closed yet: the words before its brace, and what is in it so far."""

    words: tuple[str, ...]
    line: int
    inner: list[Clause]


class _Parser:
    """Goes through the lines; a brace may stand on the line after its words."""

    def __init__(self) -> None:
        self._blocks = [_Open((), 0, [])]
        self.troubles: list[Trouble] = []

    def line(self, number: int, line: str) -> None:
        """Take one line; after one that is wrong there is no sense in more."""
        words: list[str] = []
        for found in _WORD.finditer(line):
            if found["comment"]:
                break
            if found["odd"]:
                self.troubles.append(Trouble(number, "found a quote that is not closed, expected it on the same line"))
                return
            if found["brace"] == "{":
                self._open(tuple(words), number)
                words = []
            elif found["brace"]:
                self._add(words, number)
                words = []
                self._close(number)
            else:
                words.append(found["word"] or found["quoted"][1:-1])
        self._add(words, number)

    def result(self) -> Parsed:
        if len(self._blocks) > 1 and not self.troubles:
            block = self._blocks[-1]
            self.troubles.append(Trouble(block.line, "found a { that is never closed, expected its }"))
        return Parsed(tuple(self._blocks[0].inner), tuple(self.troubles))

    def _add(self, words: list[str], number: int) -> None:
        if words:
            self._blocks[-1].inner.append(Clause(tuple(words), number))

    def _open(self, words: tuple[str, ...], number: int) -> None:
        inner = self._blocks[-1].inner
        if not words and inner and inner[-1].inner is None:
            before = inner.pop()
            words, number = before.words, before.line
        if len(self._blocks) > _DEEPEST:
            self.troubles.append(Trouble(number, f"found blocks {_DEEPEST} deep, expected a plain configuration"))
        self._blocks.append(_Open(words, number, []))

    def _close(self, number: int) -> None:
        if len(self._blocks) == 1:
            self.troubles.append(Trouble(number, "found a } too many, expected one for each {"))
            return
        block = self._blocks.pop()
        self._blocks[-1].inner.append(Clause(block.words, block.line, tuple(block.inner)))
