"""The place of a site's own hooks: `pytest_mlperf_record`, `pytest_mlperf_harnesses`."""
