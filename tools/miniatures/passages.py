"""Generated reading comprehension: a passage of short statements, a question, and where its answer is."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def _words(text: str) -> list[str]:
    return text.split()


FIRST_NAMES = _words(
    "mary john sandra daniel alice victor nina oscar paula quentin rosa stefan tara ulric vera walter xenia "
    "yusuf zoe adam bella carl diana erik fiona george hana ivan julia kofi lena marco nora omar petra ravi "
    "tomas uma wendy"
)
LAST_NAMES = _words(
    "smith garcia chen novak silva okafor tanaka muller rossi kowalski jensen dubois patel nguyen "
    "haddad larsen"
)
CITIES = _words(
    "paris oslo lima cairo delhi kyoto quito rome sofia tunis vienna warsaw zagreb athens berlin dublin "
    "geneva havana lisbon madrid"
)
TRADES = _words("doctor painter baker engineer pilot teacher farmer lawyer singer carpenter chemist judge")
ANIMALS = _words("dog cat parrot rabbit turtle horse pony goat ferret canary")
MONTHS = _words("january february march april may june july august september october november december")
PLACES = [
    *("old library", "city museum", "north station", "river market", "stone bridge", "grand hotel"),
    *("little theatre", "blue harbour", "central park", "white castle", "school garden", "science hall"),
]
THINGS = [
    *("red bicycle", "silver watch", "wooden chess set", "green umbrella"),
    *("leather notebook", "brass telescope", "paper lantern", "clay vase"),
    *("glass marble", "cotton scarf", "tin drum", "ivory piano"),
]
DAYS, YEARS = range(1, 29), range(1960, 2020)
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
PAD, BEGIN, SEPARATOR = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A kind of fact: what can be said of a person {p} and an answer {a}, and how it can be asked for."""

    statements: Sequence[str]
    questions: Sequence[str]
    answers: Sequence[str] | str
    """The answers to choose from, or "date" or "person"."""


RELATIONS = (
    Relation(
        statements=["{p} was born in {a} .", "the birthplace of {p} is {a} .", "{p} comes from {a} ."],
        questions=[
            "where was {p} born ?",
            "which city does {p} come from ?",
            "what is the birthplace of {p} ?",
        ],
        answers=CITIES,
    ),
    Relation(
        statements=["{p} works as a {a} .", "{p} is a {a} by profession .", "the job of {p} is {a} ."],
        questions=[
            "what does {p} do for a living ?",
            "what is the job of {p} ?",
            "what profession does {p} have ?",
        ],
        answers=TRADES,
    ),
    Relation(
        statements=["{p} bought the {a} .", "the {a} belongs to {p} .", "{p} paid for the {a} ."],
        questions=["what did {p} buy ?", "what belongs to {p} ?", "what did {p} pay for ?"],
        answers=THINGS,
    ),
    Relation(
        statements=["{p} waited at the {a} .", "{p} was seen at the {a} .", "{p} spent the day at the {a} ."],
        questions=["where did {p} wait ?", "where was {p} seen ?", "where did {p} spend the day ?"],
        answers=PLACES,
    ),
    Relation(
        statements=["{p} moved out on {a} .", "on {a} , {p} left the house .", "{p} departed on {a} ."],
        questions=[
            "when did {p} move out ?",
            "when did {p} leave the house ?",
            "on what date did {p} depart ?",
        ],
        answers="date",
    ),
    Relation(
        statements=["{p} owns a {a} .", "{p} takes care of a {a} .", "the pet of {p} is a {a} ."],
        questions=["what animal does {p} own ?", "what pet does {p} have ?", "what does {p} take care of ?"],
        answers=ANIMALS,
    ),
    Relation(
        statements=["{p} is married to {a} .", "the partner of {p} is {a} .", "{p} shares a flat with {a} ."],
        questions=["who is {p} married to ?", "who is the partner of {p} ?", "who shares a flat with {p} ?"],
        answers="person",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Words as numbers, laid out as BERT reads them: [CLS] question [SEP] passage [SEP].

    context:        where the passage begins
    first, last:    where the answer begins, and its last word
    """

    words: list[int]
    context: int
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class _Fact:
    relation: Relation
    person: str
    statement: list[str]
    answer: list[str]


def vocabulary() -> dict[str, int]:
    """Return the number of each word."""
    templates = [text for each in RELATIONS for text in (*each.statements, *each.questions)]
    lists = [*FIRST_NAMES, *LAST_NAMES, *CITIES, *TRADES, *ANIMALS, *MONTHS, *PLACES, *THINGS, *templates]
    words = {word for text in lists for word in text.split()} - {"{p}", "{a}"}
    return {
        word: number
        for number, word in enumerate([*SPECIAL, *sorted(words | set(map(str, [*DAYS, *YEARS])))])
    }


def generate(seed: int) -> Iterator[Passage]:
    """Return passages without end."""
    draw = random.Random(seed)  # noqa: S311  the same passages again are what is wanted
    numbers = vocabulary()
    while True:
        yield _passage(draw, numbers)


def _passage(draw: random.Random, numbers: dict[str, int]) -> Passage:
    people = _distinct_people(draw)
    facts = _facts(draw, people)
    asked = draw.choice(facts)
    context = [word for fact in facts for word in fact.statement]
    before = sum(len(fact.statement) for fact in facts[: facts.index(asked)])
    start = before + _position(asked.answer, asked.statement)
    name = _name(draw, asked.person, people)
    question = draw.choice(asked.relation.questions).format(p=name).split()
    words = [SPECIAL[BEGIN], *question, SPECIAL[SEPARATOR], *context, SPECIAL[SEPARATOR]]
    offset = len(question) + 2
    first = offset + start
    return Passage(
        words=[numbers[word] for word in words],
        context=offset,
        first=first,
        last=first + len(asked.answer) - 1,
    )


def _distinct_people(draw: random.Random) -> list[str]:
    people: list[str] = []
    wanted = draw.randint(2, 3)
    while len(people) < wanted:
        person = _person(draw)
        if person not in people:
            people.append(person)
    return people


def _facts(draw: random.Random, people: list[str]) -> list[_Fact]:
    """Return facts in random order; in one passage of ten, two people can share a relation."""
    relations = draw.sample(RELATIONS, draw.randint(4, 7))
    if draw.random() < 0.1:
        relations += draw.sample(relations, 2)
    chosen = {(draw.choice(people), number): relation for number, relation in _numbered(relations)}
    facts = [_fact(draw, relation, person, people) for (person, _), relation in chosen.items()]
    draw.shuffle(facts)
    return facts


def _numbered(relations: list[Relation]) -> list[tuple[int, Relation]]:
    return [(RELATIONS.index(relation), relation) for relation in relations]


def _fact(draw: random.Random, relation: Relation, person: str, people: list[str]) -> _Fact:
    answer = _answer(draw, relation)
    statement = draw.choice(relation.statements).format(p=_name(draw, person, people), a=answer)
    return _Fact(relation=relation, person=person, statement=statement.split(), answer=answer.split())


def _answer(draw: random.Random, relation: Relation) -> str:
    if relation.answers == "person":
        return _person(draw)
    if relation.answers == "date":
        return f"{draw.choice(DAYS)} {draw.choice(MONTHS)} {draw.choice(YEARS)}"
    return draw.choice(relation.answers)


def _person(draw: random.Random) -> str:
    return f"{draw.choice(FIRST_NAMES)} {draw.choice(LAST_NAMES)}"


def _name(draw: random.Random, person: str, people: list[str]) -> str:
    """Return the name of a person, without the last name in three of ten cases where the first is enough."""
    first = person.split(maxsplit=1)[0]
    alone = sum(other.split()[0] == first for other in people) == 1
    return first if draw.random() < 0.3 and alone else person


def _position(answer: list[str], statement: list[str]) -> int:
    starts = range(len(statement) - len(answer) + 1)
    return next(start for start in starts if statement[start : start + len(answer)] == answer)
