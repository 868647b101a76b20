"""The language of searches: what a term finds in a text, what an expression means, what cannot be meant."""

from contextlib import suppress
from unicodedata import normalize

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.dictionary import MACROS
from flows.search.terms import Joined, Not, SearchError, Term, holds, marked, parse, terms

ALPHABET = "abAB19_ -.,'\n!*éÉ\u0301ßΣ\u03c3ς退款กิ日ー한\u0431\U0001f600"


def found(text: str, query: str) -> list[str]:
    """What of a text is marked."""
    return [piece for piece, is_hit in marked(terms(parse(query)), text) if is_hit]


@pytest.mark.parametrize(
    ("query", "text", "pieces"),
    [
        ("refund", "A refund. REFUND? refunds unrefunded", ["refund", "REFUND"]),
        ("ref*", "A refund, unref ref", ["refund", "ref"]),
        ('"cancel my order"', "Cancel my  order, cancel: my order; my order", ["Cancel my  order", "cancel: my order"]),
        ("e-mail", "email e-mail e mail", ["e-mail", "e mail"]),
        ("don't", "I don\u2019t, I don't", ["don\u2019t", "don't"]),
        ("5287-3476", "account 5287 3476", ["5287 3476"]),
        ("café", "CAFÉ cafe cafe\u0301", ["CAFÉ", "cafe\u0301"]),
        ("退款", "我要退款ok", ["退款"]),
        ("ok", "我要退款ok, book", ["ok"]),
        ("\U0001f600", "so\U0001f600so", ["\U0001f600"]),
        ('"***"', "***!", ["***"]),
        ("“two words”", "two words", ["two words"]),
        ("привет", "Привет, приветик", ["Привет"]),
        ('"<b>"', "a <b> b", ["b", "b"]),
    ],
)
def test_a_term_is_whole_words_whatever_their_case(query: str, text: str, pieces: list[str]) -> None:
    """What a reader expects to be found, and to see marked."""
    assert found(text, query) == pieces


@pytest.mark.parametrize(
    ("query", "true_of", "false_of"),
    [
        ("a b", ["ab", "abc"], ["", "a", "bc"]),
        ("a AND b OR c", ["c", "ab"], ["", "a", "b"]),
        ("a b OR c", ["ab", "ac"], ["", "a", "bc"]),
        ("a -b", ["a", "ac"], ["", "ab", "c"]),
        ("a AND NOT (b OR c)", ["a"], ["", "ab", "ac", "abc"]),
        ("+a +b", ["ab"], ["", "a", "b"]),
        ("NOT NOT a", ["a"], ["", "b"]),
        ("NOT a", ["", "b"], ["a", "ab"]),
    ],
)
def test_an_expression_is_true_of_sets_of_terms(query: str, true_of: list[str], false_of: list[str]) -> None:
    """OR binds closer than what merely stands side by side, AND closer than OR."""
    expression = parse(query)
    for words in (*true_of, *false_of):
        assert holds(expression, frozenset(Term((word,)) for word in words)) == (words in true_of)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "nothing to search for"),
        ("  ", "nothing to search for"),
        ('"a', "double quote is open"),
        ('""', "nothing in it"),
        ("a AND", "ends too early"),
        ("(a", "ends too early"),
        ("a)", r"\) at position 2"),
        ("AND a", "AND at position 1"),
        ("agent:a", "not known here"),
        ("a~", "not known here"),
        ("/a/", "not known here"),
        ("[a TO b]", "not known here"),
        ("*", "nothing in it"),
        ("a*b", "at the end of a word"),
        ("a && b", "write AND"),
        ("'tis", "position 1"),
        ("x" * 1001, "1,000 characters"),
        (" ".join(f"w{n}" for n in range(33)), "32 different terms"),
        ("+-" * 499 + "a", "too much within each other"),
    ],
)
def test_what_cannot_be_meant_is_said_so(query: str, said: str) -> None:
    """With the place, or what to write instead."""
    with pytest.raises(SearchError, match=said):
        parse(query)


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=40))
def test_any_text_is_a_search_or_an_error(text: str) -> None:
    """Never anything else: it comes from a form that anybody fills in."""
    with suppress(SearchError):
        assert isinstance(parse(text), Term | Not | Joined)


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    """DuckDB with the macros that patterns are made of."""
    made = duckdb.connect()
    for name in ("search_beginning", "search_pattern"):
        made.execute(f"CREATE MACRO {name} {(MACROS / f'{name}.sql').read_text()}")
    return made


@settings(deadline=None, max_examples=120)
@given(
    text=st.text(ALPHABET, max_size=30),
    word=st.text(ALPHABET, min_size=1, max_size=5),
    is_beginning=st.booleans(),
    cut=st.integers(0, 25),
)
def test_the_lake_python_and_the_macros_agree(
    con: duckdb.DuckDBPyConnection, text: str, word: str, is_beginning: bool, cut: int
) -> None:
    """Of any word, and of what stands in the text: else a page would mark nothing of what was found, or too much."""
    word = word if cut > len(text) else (text[cut : cut + 3] or word)
    try:
        term = parse('"' + word.replace("*", "") + '"')
    except SearchError:
        return
    assert isinstance(term, Term)
    term = Term(term.words, is_beginning and bool(term.words), term.signs)
    is_there, may_be_there = con.execute(
        "SELECT regexp_matches($text, $exact), regexp_matches($text, $quick)",
        {"text": text, "exact": term.exact, "quick": term.quick},
    ).fetchall()[0]
    assert is_there == bool(list(term.spans(text)))
    assert may_be_there >= is_there
    asked = " ".join(term.words) + "*" * term.is_beginning
    by_macro = con.execute("SELECT search_pattern(?)", [asked]).fetchall()[0][0]
    has_one_form = all(normalize(form, said) == said for said in term.words for form in ("NFC", "NFD"))
    if by_macro and has_one_form:
        assert con.execute("SELECT regexp_matches(?, ?)", [text, by_macro]).fetchall() == [(is_there,)]
