"""What a search asks for: the language of searches, and what of a text fits. Pure.

A *term* is a word, a "phrase", or a beginning*. An expression joins terms with AND, OR, NOT, +, - and parentheses; what
merely stands side by side is joined by AND. Case does not matter. A term is its words in this order, whatever stands
between them that is no letter, digit or mark, and it must be whole words of the text; where people write without spaces
(Chinese, Japanese, Thai, ...) it may begin and end anywhere.

The same is said twice, in RE2 for the lake and in Python's `re` to mark what was found; a test holds them together.
"""

import re
import sys
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeAlias

from luqum import tree
from luqum.exceptions import ParseError
from luqum.parser import lexer, parser

LONGEST, MOST_TERMS = 1000, 32
UNSPACED_RANGES = (  # blocks of the scripts that are written without spaces: Thai to Khmer, kana, ideographs
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x20000, 0x3FFFF),
)  # fmt: skip
RE2_WORD = r"\p{L}\p{N}\p{M}_"
RE2_UNSPACED = "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in UNSPACED_RANGES)
_UNSPACED = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED_RANGES)
_QUOTES = str.maketrans(dict.fromkeys("“”„«»", '"') | dict.fromkeys(range(32), " ") | {0x7F: " "})
_PARSING = threading.Lock()  # the parser keeps state of its own


class SearchError(ValueError):
    """A search that cannot be understood; says where, or what to write instead."""


@dataclass(frozen=True)
class Term:
    """One word or phrase: its words as they were written, or a text without any (an emoji, say)."""

    words: tuple[str, ...]
    is_beginning: bool = False
    signs: str = ""

    @property
    def quick(self) -> str:
        """An RE2 pattern for texts that may hold it: quick, and never too strict."""
        return "(?i)" + _either(max(self.words, key=len)) if self.words else _escaped(self.signs)

    @property
    def exact(self) -> str:
        """An RE2 pattern for the texts that hold it."""
        if not self.words:
            return _escaped(self.signs)
        start = "" if _is_unspaced(self.words[0][0]) else f"(?:^|[^{RE2_WORD}]|[{RE2_UNSPACED}])"
        end = "" if self._is_open else f"(?:$|[^{RE2_WORD}]|[{RE2_UNSPACED}])"
        return "(?i)" + start + f"[^{RE2_WORD}]+".join(map(_either, self.words)) + end

    @property
    def _is_open(self) -> bool:
        return self.is_beginning or _is_unspaced(self.words[-1][-1])

    @cached_property
    def _places(self) -> re.Pattern[str]:
        if not self.words:
            return re.compile(_escaped(self.signs))
        word = r"\w" + _marks()
        start = "" if _is_unspaced(self.words[0][0]) else f"(?:(?<![{word}])|(?<=[{_UNSPACED}]))"
        end = "" if self._is_open else f"(?:(?![{word}])|(?=[{_UNSPACED}]))"
        rest = f"(?:(?![{_UNSPACED}])[{word}])*" if self.is_beginning else ""
        return re.compile(start + f"[^{word}]+".join(map(_either, self.words)) + end + rest, re.IGNORECASE)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it stands in a text: (start, end), from left to right."""
        return (found.span() for found in self._places.finditer(text))


@dataclass(frozen=True)
class Not:
    """What must not be there."""

    part: "Expression"


@dataclass(frozen=True)
class Joined:
    """All (`is_all`) or any of its parts."""

    parts: tuple["Expression", ...]
    is_all: bool


Expression: TypeAlias = Term | Not | Joined


def parse(text: str) -> Expression:
    """The expression that a search is. Raises SearchError."""
    if len(text) > LONGEST:
        raise SearchError(f"a search has {LONGEST:,} characters at most, this one {len(text):,}")
    plain = text.translate(_QUOTES)
    if not plain.strip():
        raise SearchError("nothing to search for: write a word, or a phrase in double quotes")
    if plain.count('"') % 2:
        raise SearchError("a double quote is open: a phrase begins and ends with one")
    try:
        with _PARSING:
            parsed = parser.parse(plain, lexer=lexer.clone())
        expression = _ours(parsed)
    except ParseError as error:
        raise SearchError(_explained(str(error))) from None
    except RecursionError:
        raise SearchError("too much within each other: write it with fewer signs and parentheses") from None
    if len(terms(expression)) > MOST_TERMS:
        raise SearchError(f"a search has {MOST_TERMS} different terms at most")
    return expression


def terms(expression: Expression, *, wanted: bool = False) -> list[Term]:
    """Its terms, each once, in the order in which they stand; `wanted`: without those that must not be there."""
    if isinstance(expression, Term):
        return [expression]
    if isinstance(expression, Not):
        return [] if wanted else terms(expression.part)
    return list(dict.fromkeys(term for part in expression.parts for term in terms(part, wanted=wanted)))


def holds(expression: Expression, found: frozenset[Term]) -> bool:
    """Whether it is true of a conversation in which these terms were said."""
    if isinstance(expression, Term):
        return expression in found
    if isinstance(expression, Not):
        return not holds(expression.part, found)
    return (all if expression.is_all else any)(holds(part, found) for part in expression.parts)


def marked(wanted: list[Term], text: str) -> list[tuple[str, bool]]:
    """A text cut where terms begin and end: (piece, whether it was searched for)."""
    pieces: list[tuple[str, bool]] = []
    done = 0
    for start, end in sorted(span for term in wanted for span in term.spans(text)):
        if end <= done:
            continue
        if start > done:
            pieces.append((text[done:start], False))
        pieces.append((text[max(start, done) : end], True))
        done = end
    return [*pieces, (text[done:], False)] if done < len(text) else pieces


def _ours(node: tree.Item) -> Expression:
    if isinstance(node, (tree.Word, tree.Phrase)):
        return _term(node)
    if isinstance(node, (tree.Group, tree.Plus)):
        return _ours(node.children[0])
    if isinstance(node, (tree.Not, tree.Prohibit)):
        part = _ours(node.children[0])
        return part.part if isinstance(part, Not) else Not(part)
    if isinstance(node, (tree.AndOperation, tree.OrOperation, tree.UnknownOperation)):
        return Joined(tuple(map(_ours, node.children)), not isinstance(node, tree.OrOperation))
    raise SearchError(
        f"{str(node).strip()} is not known here: there are words, phrases in double quotes, beginnings*, AND, OR, NOT "
        "and parentheses; put text with other signs (: / ~ ^ [ ]) into double quotes"
    )


def _term(node: tree.Word | tree.Phrase) -> Term:
    is_phrase = isinstance(node, tree.Phrase)
    text = re.sub(r"\\(.)", r"\1", node.value[1:-1] if is_phrase else node.value)
    if not is_phrase and text in {"&&", "||"}:
        raise SearchError(f"write {'AND' if text == '&&' else 'OR'} instead of {text}")
    is_beginning = not is_phrase and text.endswith("*")
    if not is_phrase and "*" in text.removesuffix("*"):
        raise SearchError(f"{text}: an asterisk stands at the end of a word, for any ending")
    words = tuple(_words(text))
    if not words and (is_beginning or not text.strip()):
        raise SearchError(f"{node.value}: there is nothing in it to search for")
    return Term(words, is_beginning and bool(words), "" if words else text.strip())


def _words(text: str) -> Iterator[str]:
    """The unbroken runs of letters, digits, marks and underscores."""
    run = ""
    for sign in text + " ":
        if sign == "_" or unicodedata.category(sign)[0] in "LNM":
            run += sign
        elif run:
            yield run
            run = ""


def _is_unspaced(sign: str) -> bool:
    return any(first <= ord(sign) <= last for first, last in UNSPACED_RANGES)


def _either(word: str) -> str:
    """A word as it may be encoded: accents in one with their letters, or after them."""
    forms = sorted({word, unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)})
    return forms[0] if len(forms) == 1 else f"(?:{'|'.join(forms)})"


def _escaped(signs: str) -> str:
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", signs)


@cache
def _marks() -> str:
    """Every combining mark, as ranges of a character class: Python's own class of word characters leaves them out."""
    codes = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"]
    starts = [code for code, before in zip(codes, [-1, *codes], strict=False) if code != before + 1]
    ends = [code for code, after in zip(codes, [*codes[1:], -1], strict=True) if after != code + 1]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))


def _explained(said: str) -> str:
    """What the parser said, for people."""
    if "unmatched parenthesis" in said:
        return "the search ends too early: a parenthesis is open, or AND, OR, NOT has nothing after it"
    if found := re.search(r"unexpected\s+'(.+)' at position (\d+)", said):
        return f"{found[1]} at position {int(found[2]) + 1} does not belong there"
    if found := re.search(r"Illegal character '(.)(?s:.*)' at position (\d+)", said):
        return f"{found[1]} at position {int(found[2]) + 1} does not belong there: put it into double quotes"
    return said
