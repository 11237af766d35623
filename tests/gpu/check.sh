#!/usr/bin/env bash
# The check on one GPU, 500 seconds at most, in a copy of the tree that needs no package registry (docs/gpu.md):
#   bash tests/gpu/check.sh                      # all parts but compiled, drill and final
#   PARTS="right same_bits" bash tests/gpu/check.sh
#   REHEARSAL=1 PARTS=right bash tests/gpu/check.sh    # the same motions on a CPU
# What `prepare` left in .gpu/ is taken from there: wheels, data. $OUT gets log.txt, facts.json, tables, records.
set -uo pipefail
cd "$(dirname "$0")/../.."
export OUT=${OUT:-$PWD/.gpu/out} PYTHON=${PYTHON:-python3} PYTHONUNBUFFERED=1 BUDGET=${BUDGET:-480}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
mkdir -p "$OUT"
if ls .gpu/wheels/*.whl >/dev/null 2>&1; then
    site=.gpu/site
    rm -rf $site
    "$PYTHON" -m pip install --quiet --no-index --no-deps --target $site .gpu/wheels/*.whl || exit 1
    export PYTHONPATH=$PYTHONPATH:$PWD/$site
fi
[ ! -d .gpu/data ] || export HARNESS_DATA=$PWD/.gpu/data
# shellcheck disable=SC2086
timeout --kill-after=5 $((BUDGET + 10)) "$PYTHON" -m tests.gpu ${PARTS:-} 2>&1 | tee "$OUT/log.txt"
exit "${PIPESTATUS[0]}"
