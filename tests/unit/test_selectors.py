"""Label selectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain import limits, selectors
from taskyard_core.domain.selectors import Operator, Term
from taskyard_core.domain.violations import Violation

KEYS = st.from_regex(r"[a-z]([a-z._/-]{0,5}[a-z])?", fullmatch=True)
VALUES = st.from_regex(r"[a-z0-9]([a-z0-9._/:+-]{0,5}[a-z0-9])?", fullmatch=True)
SETS = st.lists(VALUES, min_size=1, max_size=4, unique=True).map(lambda values: tuple(sorted(values)))
TERMS = st.one_of(
    st.builds(Term, KEYS, st.sampled_from([Operator.IN, Operator.NOT_IN]), SETS),
    st.builds(Term, KEYS, st.sampled_from([Operator.EXISTS, Operator.NOT_EXISTS])),
    st.builds(Term, KEYS, st.just(Operator.AT_LEAST), st.integers(-(10**9), 10**9).map(lambda n: (str(n),))),
)
LABELS = st.dictionaries(KEYS, VALUES | st.integers(-100, 100).map(str), max_size=4)


@given(st.lists(TERMS, max_size=6))
def test_what_is_written_is_read_back(terms: list[Term]) -> None:
    text = ",".join(map(str, terms))
    assert selectors.parse(text) == tuple(sorted(set(terms)))


@given(st.lists(TERMS, max_size=6), st.randoms())
def test_order_repetition_and_space_do_not_matter(terms: list[Term], random: object) -> None:
    text = ",".join(map(str, terms))
    shuffled = [*terms, *terms[:2]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert selectors.canonical(" , ".join(map(str, shuffled))) == selectors.canonical(text)


@given(st.lists(TERMS, max_size=6))
def test_the_canonical_spelling_is_a_fixed_point(terms: list[Term]) -> None:
    once = selectors.canonical(",".join(map(str, terms)))
    assert selectors.canonical(once) == once


@given(st.lists(TERMS, max_size=6), LABELS)
def test_all_terms_must_hold(terms: list[Term], labels: dict[str, str]) -> None:
    assert selectors.fits(",".join(map(str, terms)), labels) == all(term.holds(labels) for term in terms)


@given(KEYS, SETS, LABELS)
def test_opposites_exclude_each_other(key: str, values: tuple[str, ...], labels: dict[str, str]) -> None:
    assert Term(key, Operator.IN, values).holds(labels) != Term(key, Operator.NOT_IN, values).holds(labels)
    assert Term(key, Operator.EXISTS).holds(labels) != Term(key, Operator.NOT_EXISTS).holds(labels)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        canonical = selectors.canonical(text)
    except Violation:
        return
    assert selectors.parse(canonical) == selectors.parse(text)


@pytest.mark.parametrize(
    ("selector", "labels", "fits"),
    [
        ("", {}, True),
        ("io=ssd", {"io": "ssd"}, True),
        ("io=ssd", {"io": "hdd"}, False),
        ("io=ssd", {}, False),
        ("io!=ssd", {}, True),
        ("io!=ssd", {"io": "ssd"}, False),
        ("region in (eu,us)", {"region": "us"}, True),
        ("region notin (eu,us)", {"region": "asia"}, True),
        ("region notin (eu,us)", {}, True),
        ("gpu", {"gpu": ""}, True),
        ("!spot", {"spot": "yes"}, False),
        ("!spot", {}, True),
        ("memory_gb>=16", {"memory_gb": "16"}, True),
        ("memory_gb>=16", {"memory_gb": "9"}, False),
        ("memory_gb>=16", {"memory_gb": "much"}, False),
        ("memory_gb>=16", {"memory_gb": "16.5"}, False),
        ("memory_gb>=16", {"memory_gb": "١٦"}, False),
        ("memory_gb>=-1", {"memory_gb": "-1"}, True),
        ("memory_gb>=16", {}, False),
        ("in=1,notin", {"in": "1", "notin": ""}, True),
    ],
)
def test_examples(selector: str, labels: dict[str, str], fits: bool) -> None:
    assert selectors.fits(selector, labels) is fits


@pytest.mark.parametrize(
    "text",
    [
        "io=", "=ssd", "io=ssd,", ",io=ssd", "io=ssd,,gpu", "region in ()", "region in (eu", "region in (eu,)",
        "memory_gb>=", "memory_gb>=16.5", "memory_gb>16", "io=ssd gpu", "!", "! =a", "io=a b", "-io", "io-", "io=ssd\0",
        "k" * 64, "k=v," * 300,
    ],
)  # fmt: skip
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(Violation) as caught:
        selectors.parse(text)
    assert caught.value.field == "selector"


@pytest.mark.parametrize("text", ["gpu=>1", "io=ssd, gpu => 1", "gpu>1"])
def test_what_was_meant_for_at_least_is_told_how_that_is_written(text: str) -> None:
    with pytest.raises(Violation, match="at least is written >="):
        selectors.parse(text)


def test_who_wrote_it_right_is_not_told_so() -> None:
    with pytest.raises(Violation) as caught:
        selectors.parse("gpu>=x")
    assert "written" not in str(caught.value)


def test_many_terms_are_refused() -> None:
    terms = [f"k{n}" for n in range(limits.SELECTOR_TERMS + 1)]
    assert len(selectors.parse(",".join(terms[:-1]))) == limits.SELECTOR_TERMS
    with pytest.raises(Violation):
        selectors.parse(",".join(terms))


@pytest.mark.parametrize(
    "labels",
    [
        {f"k{n}": "" for n in range(limits.LABELS + 1)},
        {"k" * 64: "v"},
        {"": "v"},
        {"a b": "v"},
        {"k": "v" * 257},
    ],
)
def test_labels_have_rules(labels: dict[str, str]) -> None:
    with pytest.raises(Violation, match="labels"):
        selectors.check_labels(labels)


def test_good_labels_pass() -> None:
    # Nothing is raised.
    selectors.check_labels({"io": "ssd", "memory_gb": "16", "example.com/zone": "", "k" * 63: "v" * 256})
