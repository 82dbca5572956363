"""Where the pieces of a new submission stand: paths from the root of its tree. Nothing is read or written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Spot:
    """The directories that belong to one system, benchmark and scenario."""

    results: str
    measurements: str
    compliance: str

    def run(self, mode: str) -> str:
        """Return the directory of a run by LoadGen's mode."""
        return f"{self.results}/accuracy" if mode == "AccuracyOnly" else f"{self.results}/performance/run_1"


@dataclass(frozen=True, kw_only=True)
class Home:
    """<division>/<submitter>, in the layout of a round: "v2.0", or "v6.0" with all beside the results."""

    division: str
    submitter: str
    layout: str

    @property
    def root(self) -> str:
        """The directory of the submission."""
        return f"{self.division}/{self.submitter}"

    @property
    def _inside(self) -> bool:
        return self.layout == "v6.0"

    def system(self, name: str) -> str:
        """Return the file that describes a system."""
        return f"{self.root}/systems/{name}.json"

    def code(self, benchmark: str, implementation: str) -> str:
        """Return the directory of the code that ran a benchmark."""
        return f"{self.root}/{'src' if self._inside else 'code'}/{benchmark}/{implementation}"

    def spot(self, system: str, benchmark: str, scenario: str) -> Spot:
        """Return the directories of a result."""
        where = f"{system}/{benchmark}/{scenario}"
        results = f"{self.root}/results/{where}"
        return Spot(
            results=results,
            measurements=results if self._inside else f"{self.root}/measurements/{where}",
            compliance=results if self._inside else f"{self.root}/compliance/{where}",
        )

    def implementation(self, spot: Spot, system: str, harness: str, scenario: str) -> str:
        """Return the file that says what the implementation does to the model."""
        name = "measurements.json" if self._inside else f"{system}_{harness}_{scenario}.json"
        return f"{spot.measurements}/{name}"
