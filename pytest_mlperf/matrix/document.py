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


MAX_TIME_LIMIT_S = 7 * 24 * 3600

Name = Annotated[StrictStr, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_strict_number)]
# LoadGen's configuration holds whole milliseconds.
Milliseconds = Annotated[int, Field(gt=0), BeforeValidator(_whole)]
Percentage = Annotated[
    Accuracy, BeforeValidator(_percentage), WithJsonSchema({"enum": [99, 99.9, "99", "99.9"]})
]
# One value or a list of them, without repetition.
Names = Annotated[list[Name], BeforeValidator(_listed), Field(min_length=1)]
Accuracies = Annotated[list[Percentage], BeforeValidator(_listed), Field(min_length=1)]
Powers = Annotated[list[Power], BeforeValidator(_listed), Field(min_length=1)]
Scenarios = Annotated[list[Scenario], BeforeValidator(_listed), Field(min_length=1)]
Modes = Annotated[list[Mode], BeforeValidator(_listed), Field(min_length=1)]


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


class Override(Options):
    """Settings for the cases that `match` selects; later overrides win."""

    match: Axes
    expected_failure: Name | None = Field(default=None, description="why these cases are known to fail")


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
    defaults: Options = Field(default=Options(), description="settings of every case")
    axes: Axes = Field(
        default=Axes(), description="the cross product of these, or what `include` blocks share"
    )
    include: list[Axes] = Field(default=[], description="cross products, each completed from `axes`")
    exclude: list[Axes] = Field(default=[], description="cases to leave out: those on all the named values")
    overrides: list[Override] = Field(default=[], description="settings for some of the cases")
