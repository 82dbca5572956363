"""`user.conf`: what LoadGen was asked for, in lines of `model.scenario.key = value`.

LoadGen wants blanks around the equals sign, and passes over a line without them in silence.
"""

from __future__ import annotations

from pytest_mlperf.errors import Place
from pytest_mlperf.evidence import Fact, UserConf

_ANY = "*"
_PARTS = 3


def parse(text: str, path: str) -> UserConf:
    """Parse a `user.conf`; of two lines with the same key the last counts. What is no setting is kept too."""
    asked: dict[tuple[str, str, str], Fact] = {}
    ignored: list[Fact] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        place = Place(path=path, line=number)
        key, value = words[0], _number(words)
        parts = key.split(".")
        if value is None or len(parts) < _PARTS:
            ignored.append(Fact(key="ignored", value=line.strip(), place=place))
            continue
        # The name of a model may have dots.
        model, scenario, name = ".".join(parts[:-2]), parts[-2], parts[-1]
        asked[model, scenario, name] = Fact(key=key, value=value, place=place)
    return UserConf(asked=asked, ignored=tuple(ignored))


def _number(words: list[str]) -> float | None:
    if len(words) != _PARTS or words[1] != "=":
        return None
    try:
        return float(words[2])
    except ValueError:
        return None


def asked_for(conf: UserConf, *, model: str, scenario: str, key: str) -> Fact | None:
    """Return what counts for a model in a scenario, None for nothing.

    A scenario that is named counts more than a model that is.
    """
    for place in ((model, scenario), (_ANY, scenario), (model, _ANY), (_ANY, _ANY)):
        if fact := conf.asked.get((*place, key)):
            return fact
    return None
