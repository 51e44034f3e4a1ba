#!/usr/bin/env bash
# Regress in any CI: builds all topologies in all eras, compares with results/baselines, leaves a JUnit file
# and, of what differs, the captures. Needs root (network namespaces) and Node 20.19 or newer.
#
#   scripts/ci/regress.sh [directory] [arguments of regress...]
#
# Exit code: 0 all as the baselines · 1 something differs · 3 something could not run here, which is no pass:
# the report says what this machine lacks. `npm run lab -- doctor` tells it beforehand.
set -uo pipefail
cd "$(dirname "$0")/../.."

out=${1:-regress-results}
shift || true
mkdir -p "$out"
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo --preserve-env=PATH)

"${as_root[@]}" node scripts/ambient-lab.mjs regress \
  --results "$out" --junit "$out/junit.xml" "$@" | tee "$out/report.txt"
code=${PIPESTATUS[0]}

[ ${#as_root[@]} -eq 0 ] || sudo chown -R "$(id -u):$(id -g)" "$out"
case $code in
  0) ;;
  1) echo "If the change is meant: npm run lab -- regress --update, and commit results/baselines" >&2 ;;
  *) echo "Nothing is proven: regress ended with $code" >&2 ;;
esac
exit "$code"
