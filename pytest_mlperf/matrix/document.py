"""The shape of a matrix file. The JSON Schema for editors is generated from these types."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from pytest_mlperf.matrix import (
    MOST_ATTEMPTS,
    Accuracy,
    Category,
    Conformance,
    HardwareMatch,
    Mode,
    Power,
    Scenario,
)
from pytest_mlperf.matrix.privileges import WORDS


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _percentage(value: Any) -> Any:
    return next((word for word in get_args(Accuracy) if value == float(word)), value)


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or int(value) != value:
        raise ValueError("a whole number")
    return value


def _strict_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("Input should be a number")  # noqa: TRY004  pydantic turns a ValueError into its own
    return value


def _worded(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("text or a number")  # noqa: TRY004  pydantic turns a ValueError into its own
    return str(value)


MAX_TIME_LIMIT_S = 7 * 24 * 3600

Name = Annotated[StrictStr, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_strict_number)]
# LoadGen's configuration holds whole milliseconds.
Milliseconds = Annotated[int, Field(gt=0), BeforeValidator(_whole)]
Percentage = Annotated[
    Accuracy, BeforeValidator(_percentage), WithJsonSchema({"enum": [99, 99.9, "99", "99.9"]})
]
_WORD = {"type": ["string", "number"]}
Text = Annotated[str, BeforeValidator(_worded), WithJsonSchema(_WORD)]
# One value or a list of them, without repetition.
Names = Annotated[list[Name], BeforeValidator(_listed), Field(min_length=1)]
Accuracies = Annotated[list[Percentage], BeforeValidator(_listed), Field(min_length=1)]
Powers = Annotated[list[Power], BeforeValidator(_listed), Field(min_length=1)]
Scenarios = Annotated[list[Scenario], BeforeValidator(_listed), Field(min_length=1)]
Modes = Annotated[list[Mode], BeforeValidator(_listed), Field(min_length=1)]
# Looked at by `loading`, which can say what is wrong with which word.
Privileges = Annotated[
    list[StrictStr], WithJsonSchema({"type": "array", "items": {"enum": list(WORDS)}, "uniqueItems": True})
]


_PROGRAM = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [_WORD, {"type": "array", "minItems": 1, "items": _WORD}]},
        },
    ]
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Axes(_Strict):
    """Values on the axes of the matrix. A single value may stand without its list."""

    sku: Names | None = Field(default=None, description="SKUs by name")
    benchmark: Names | None = Field(default=None, description="benchmarks of the round, or miniatures")
    harness: Names | None = Field(default=None, description="what runs the benchmark")
    accuracy: Accuracies | None = Field(default=None, description="accuracy targets, % of the FP32 reference")
    power: Powers | None = Field(default=None, description="MaxQ cases run with --mlperf-power MaxQ only")
    scenario: Scenarios | None = Field(default=None, description="LoadGen scenarios")
    mode: Modes | None = Field(default=None, description="LoadGen modes")


class Attempts(_Strict):
    """Runs that may be tried again, with nothing changed; every attempt is reported."""

    max: Annotated[StrictInt, Field(ge=1, le=MOST_ATTEMPTS)] = Field(description="how often a case may run")
    need: Annotated[StrictInt, Field(ge=1)] = Field(default=1, description="how many runs must pass")

    @model_validator(mode="after")
    def _possible(self) -> Attempts:
        if self.need > self.max:
            raise ValueError(f"need: found {self.need}, allowed: at most max ({self.max})")
        return self


class Options(_Strict):
    """Settings of cases. What is left out comes from the round or is calibrated by the harness."""

    target_qps: Positive | None = Field(
        default=None, description="queries (Server) or samples (Offline) a second"
    )
    target_latency_ms: Milliseconds | None = Field(
        default=None, description="Server: limit of the 99th percentile"
    )
    expected_latency_ms: Positive | None = Field(
        default=None, description="SingleStream and MultiStream: the latency LoadGen is told to expect"
    )
    min_duration_s: Positive | None = Field(default=None, ge=0.001, description="shortest performance run")
    min_query_count: Annotated[StrictInt, Field(gt=0)] | None = Field(
        default=None, description="fewest queries"
    )
    time_limit_s: Positive | None = Field(
        default=None, le=MAX_TIME_LIMIT_S, description="a case that runs longer is killed: an error"
    )
    share_host: StrictBool | None = Field(
        default=None, description="performance cases may run beside other cases; their records say so"
    )
    attempts: Attempts | None = Field(
        default=None, description="how often a case may run, and how many runs must pass"
    )
    privileges: Privileges | None = Field(
        default=None, description="what containers may do beyond the least: cap_add=SYS_ADMIN, network=host"
    )


class Override(Options):
    """Settings for the cases that `match` selects; later overrides win."""

    match: Axes
    expected_failure: Name | None = Field(default=None, description="why these cases are known to fail")


# Looked at by `own`, which can say what is wrong with which argument.
Program = Annotated[Any, WithJsonSchema(_PROGRAM)]
Texts = Annotated[dict[Name, Text], Field(min_length=1)]


class Mounted(_Strict):
    """A folder or file of the host that the container sees."""

    source: Name = Field(description="on the host, with fields")
    target: Name = Field(description="in the container, with fields")
    read_only: StrictBool = Field(default=True, description="false lets the command write there")


class Image(_Strict):
    """The container that a command runs in, and its score as well."""

    image: Name = Field(description="as the engine of this machine knows it; nothing is pulled")
    mounts: list[Mounted] = Field(default=[], description="beside the case's folder, which is always there")
    shm_gib: Positive | None = Field(default=None, description="size of /dev/shm")


class OwnHarness(_Strict):
    """A harness by command. Its texts hold fields such as `{scenario}`; a brace itself is written twice."""

    argv: Program = Field(description="what is run: a list of arguments")
    score: Program = Field(default=None, description="run after an accuracy run, to score it")
    shell: StrictBool = Field(default=False, description="argv and score are each a line for /bin/sh")
    env: dict[Name, Text] = Field(default={}, description="environment variables")
    cwd: Name = Field(default="{folder}", description="working directory")
    log_dir: Name = Field(
        default="{folder}/logs", description="where LoadGen's logs appear; * stands for any one name"
    )
    accuracy_file: Name = Field(default="{log_dir}/accuracy.txt", description="where the accuracy appears")
    accuracy_pattern: Name | None = Field(
        default=None, description="a regular expression for a line of it, with the accuracy as its one group"
    )
    container: Image | None = Field(default=None, description="left out: on this machine itself")
    words: dict[Name, dict[Name, Texts]] = Field(
        default={}, description="fields of your own: by axis, what they are for a value on it"
    )


class Document(_Strict):
    """A matrix: a case is one value on each axis. `include` blocks take what they leave out from `axes`."""

    round: Name
    category: Category
    conformance: Conformance | None = Field(
        default=None,
        description="round allows nothing that the round does not; smoke is shortened, not submission-valid",
    )
    match: HardwareMatch = Field(
        default="exact",
        description="partial lets cases run on devices that differ from the SKU; records say in what",
    )
    harnesses: dict[Name, OwnHarness] = Field(
        default={}, description="harnesses of this matrix by name, each a command: see docs/command.md"
    )
    defaults: Options = Field(default=Options(), description="settings of every case")
    axes: Axes = Field(
        default=Axes(), description="the cross product of these, or what `include` blocks share"
    )
    include: list[Axes] = Field(default=[], description="cross products, each completed from `axes`")
    exclude: list[Axes] = Field(default=[], description="cases to leave out: those on all the named values")
    overrides: list[Override] = Field(default=[], description="settings for some of the cases")
