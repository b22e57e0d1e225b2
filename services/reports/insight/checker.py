"""Checks a claim against the facts by rule alone: what passes cannot state a figure or a direction that is not so."""

import re
from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any

from services.reports.facts import Fact
from services.reports.insight.claims import PLACEHOLDER, STANCES, Claim, cited
from services.reports.insight.vocabulary import VOCABULARIES, Vocabulary

MOST_CHARACTERS = 320
MARKUP = re.compile(r"[<>\[\]*|`#]|https?:|www\.|\$|%")
CLAUSES = re.compile(r"[.;:,。；：，、]|\b(?:but|while|whereas|and|though|although)\b|而|但|却|并")
SPAN = re.compile(r"(?:^|_)(1|7|24|30|90|365)(d|h)(?:$|_)")
# Facts that name an extreme of their own; only they carry a superlative.
EXTREMES = {"rank", "top_1", "top_10", "top_50", "top_pool_share", "peg_worst", "max_drawdown", "longest_slump"}
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}


def check(claim: Claim, facts: Mapping[str, Fact], names: set[str], language: str) -> list[str]:
    """Every rule the claim breaks, in words a model can act on; empty means accepted."""
    vocabulary = VOCABULARIES[language]
    found = _form(claim, vocabulary)
    found += _references(claim, facts)
    if found:
        return found
    for clause in CLAUSES.split(_masked(claim.text)):
        refs = [facts[name] for name in cited(_unmasked(clause))]
        bare = _bare(clause)
        found += _direction(bare, refs, vocabulary)
        found += _comparison(bare, refs, vocabulary)
        found += _spans(bare, refs, vocabulary)
    refs = [facts[name] for name in cited(claim.text)]
    found += _levels(_bare(_masked(claim.text)), refs, facts, vocabulary)
    found += _superlatives(_bare(_masked(claim.text)), refs, vocabulary)
    found += _names(claim.text, names, language)
    return found


def _masked(text: str) -> str:
    """Placeholders without the characters that would split a clause."""
    return PLACEHOLDER.sub(lambda m: f"\x01{m.group(1)}\x02", text)


def _unmasked(text: str) -> str:
    return re.sub(r"\x01([a-z0-9_]+)\x02", r"{{f:\1}}", text)


def _bare(text: str) -> str:
    return re.sub(r"\x01[a-z0-9_]+\x02", " ", text).lower()


def _form(claim: Claim, vocabulary: Vocabulary) -> list[str]:
    plain = PLACEHOLDER.sub(" ", claim.text)
    lowered = vocabulary.allowed.sub(" ", plain.lower())
    found = []
    if not 8 <= len(claim.text) <= MOST_CHARACTERS:
        found.append(f"a statement has 8 to {MOST_CHARACTERS} characters")
    if "{{" in plain or "}}" in plain or MARKUP.search(plain):
        found.append("no markup, links, currency or per cent signs outside placeholders")
    if any(char.isnumeric() and not _plain_ideograph(char) for char in lowered):
        found.append("no digits outside placeholders")
    for pattern, message in (
        (vocabulary.numbers, "no number words; use a placeholder"),
        (vocabulary.advice, "no advice, promise or prediction"),
        (vocabulary.causes, "no causes; the facts do not tell why"),
    ):
        if match := pattern.search(lowered):
            found.append(f"{message}: {match.group(0).strip()}")
    if vocabulary.units.search(_after_placeholders(claim.text)):
        found.append("a placeholder brings its own unit")
    if claim.stance not in STANCES:
        found.append("stance is positive, negative or neutral")
    return found


def _plain_ideograph(char: str) -> bool:
    # Chinese number characters are ordinary in words; the vocabulary's pattern judges them.
    return "\u4e00" <= char <= "\u9fff"


def _after_placeholders(text: str) -> str:
    return PLACEHOLDER.sub("\x03", text).lower()


def _references(claim: Claim, facts: Mapping[str, Fact]) -> list[str]:
    names = cited(claim.text)
    if not names:
        return ["cite at least one fact"]
    found = []
    for name in names:
        if name not in facts:
            found.append(f"there is no fact {name}")
        elif facts[name].value is None:
            found.append(f"fact {name} is not known")
    return found


def _direction(clause: str, refs: list[Fact], vocabulary: Vocabulary) -> list[str]:
    up, down = bool(vocabulary.up.search(clause)), bool(vocabulary.down.search(clause))
    if not up and not down:
        return []
    if up and down:
        return ["one direction per clause"]
    signed = [fact for fact in refs if fact.unit in ("change", "bps")]
    if not signed:
        return ["a word of direction needs a change in the same clause"]
    wrong = [fact.id for fact in signed if not _points(fact, up=up)]
    return [f"direction does not fit {name}" for name in wrong]


def _points(fact: Fact, *, up: bool) -> bool:
    value = fact.value
    if isinstance(value, bool | str) or value is None:
        return False
    return value > 0 if up else value < 0


def _comparison(clause: str, refs: list[Fact], vocabulary: Vocabulary) -> list[str]:
    more, less = vocabulary.more.search(clause), vocabulary.less.search(clause)
    if not more and not less:
        return []
    values = [fact.value for fact in refs if isinstance(fact.value, int | float)]
    if len(values) != 2 or len({fact.unit for fact in refs}) != 1:
        return ["a comparison needs two facts of one unit in the same clause"]
    first, second = values
    right = first > second if more else first < second
    return [] if right else ["the comparison is the wrong way round"]


def _spans(clause: str, refs: list[Fact], vocabulary: Vocabulary) -> list[str]:
    said = set(vocabulary.spans.findall(clause))
    found = []
    for fact in refs:
        match = SPAN.search(fact.id)
        if said and match and _span_days(match.group(1)) not in {_span_days(span) for span in said}:
            found.append(f"the span does not fit {fact.id}")
    return found


def _span_days(span: str) -> str:
    return "1" if span == "24" else span


def _levels(text: str, refs: list[Fact], facts: Mapping[str, Fact], vocabulary: Vocabulary) -> list[str]:
    found = []
    for pattern, rules in vocabulary.levels:
        match = pattern.search(text)
        if not match:
            continue
        cited_rules = [rule for rule in rules if any(fact.id == rule[0] for fact in refs)]
        if not cited_rules:
            found.append(f"“{match.group(0)}” needs one of {', '.join(rule[0] for rule in rules)}")
        elif not all(_holds(facts[name], operator, edge) for name, operator, edge in cited_rules):
            found.append(f"“{match.group(0)}” does not fit the facts")
    return found


def _holds(fact: Fact, operator: str, edge: float) -> bool:
    value = fact.value
    return isinstance(value, int | float) and OPERATORS[operator](abs(value), edge)


def _superlatives(text: str, refs: list[Fact], vocabulary: Vocabulary) -> list[str]:
    match = vocabulary.superlatives.search(text)
    if match and not any(fact.id in EXTREMES for fact in refs):
        return [f"“{match.group(0)}” needs a fact that ranks"]
    return []


def _names(text: str, names: set[str], language: str) -> list[str]:
    """Capitalised words inside a sentence must be names the facts know."""
    if language != "en":
        return []
    plain = PLACEHOLDER.sub(" _ ", text)
    known = {part.lower() for name in names for part in re.findall(r"[A-Za-z]+", name)}
    found = []
    for sentence in re.split(r"[.!?]\s+", plain):
        words = re.findall(r"\b[A-Z][A-Za-z]+\b", sentence.lstrip()[1:])
        found += [f"unknown name: {word}" for word in words if word.lower() not in known]
    return found
