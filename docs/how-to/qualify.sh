#!/usr/bin/env bash
# One qualification run in CI. Run again under the same name, it goes on where the last run of that name was ended.
#   qualify.sh NAME ARGUMENTS_OF_PYTEST...
# MLPERF_RESULTS  folder for results, that outlasts a job (default: mlperf-results)
# MLPERF_LIMIT    when to end by itself, as timeout(1) takes it (default: 0, never): before CI would
# MLPERF_HISTORY  history to add to: a file that outlasts a job, or the URL of a PostgreSQL (default: none)
# MLPERF_NVIDIA   ROUND=TREE of NVIDIA's harness, left out where there is no such tree (default: none)
# PYTEST          default: .venv/bin/pytest
# Leaves junit.xml, report.html, records.jsonl and the metrics in reports/. Exits as pytest does, 124 at the limit.
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,10s/^# \?//p' "$0" >&2; exit 2; }
base="${MLPERF_RESULTS:-mlperf-results}/$1"
shift

number=1
while [ -e "$base.$number" ]; do number=$((number + 1)); done
before="$base.$((number - 1))"
options=(--mlperf-output "$base.$number" --mlperf-metrics prometheus)
# A run that came to its end says so, whatever it found; what failed is then run anew, not taken over.
if [ -f "$before/records.jsonl" ] && [ ! -e "$before.ended" ]; then
  options+=(--mlperf-resume "$before")
fi
nvidia=${MLPERF_NVIDIA:-}
[ ! -d "${nvidia#*=}" ] || options+=(--mlperf-nvidia "$nvidia")
[ -z "${MLPERF_HISTORY:-}" ] || options+=(--mlperf-history "$MLPERF_HISTORY")

mkdir -p reports
rm -f reports/*
timeout --kill-after=5m "${MLPERF_LIMIT:-0}" "${PYTEST:-.venv/bin/pytest}" "$@" "${options[@]}" \
  -o junit_logging=system-out -o junit_family=xunit2 \
  --junitxml=reports/junit.xml --html=reports/report.html --self-contained-html &
child=$!
trap 'kill -TERM "$child"' HUP INT TERM
status=0
wait "$child" || status=$?
# A signal ends the first wait, and not the child.
while kill -0 "$child" 2>/dev/null; do
  status=0
  wait "$child" || status=$?
done

case $status in 0 | 1 | 5) touch "$base.$number.ended" ;; esac
for file in records.jsonl metrics.csv metrics.prom; do
  [ ! -f "$base.$number/$file" ] || cp "$base.$number/$file" reports/
done
exit "$status"
