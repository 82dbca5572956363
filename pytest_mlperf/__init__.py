"""Tell whether a machine holds MLPerf: a pytest plugin and conformance suite."""

__version__ = "0.1.0"
