#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs parity_test.py with the Python of $ORGAN_PEERS; skips where there is none.
if [ ! -x "${ORGAN_PEERS:-}/bin/python" ]; then
  echo "skipped: ORGAN_PEERS names no folder with Python peers"
  exit 77
fi
PYTHONDONTWRITEBYTECODE=1 exec "$ORGAN_PEERS/bin/python" "$(dirname "$0")/parity_test.py" "$@"
