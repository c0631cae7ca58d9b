#!/usr/bin/env bash
# After a deployment: is every function there, and is the app well?
#
# usage: smoke.sh RESOURCE_GROUP FUNCTION_APP URL
#
# A new package takes a while to be seen, so both are asked for SMOKE_ATTEMPTS times, SMOKE_PAUSE seconds apart.
set -euo pipefail

group=$1 app=$2 url=$3
expected=$(dirname "$0")/functions.txt

deployed() {
  az functionapp function list --resource-group "$group" --name "$app" --query '[].name' --output tsv | sed 's|.*/||' | sort
}

complete() {
  local names
  names=$(deployed) && diff --unchanged-line-format= --old-line-format='missing: %L' --new-line-format='unexpected: %L' \
    <(sort "$expected") <(echo "$names")
}

well() {
  curl --silent --show-error --fail-with-body --max-time 30 "$url/api/health"
}

for ((attempt = 1; attempt <= ${SMOKE_ATTEMPTS:-20}; attempt++)); do
  if complete && well; then
    echo
    echo "All $(wc -l <"$expected") functions are there, and the app is well."
    exit 0
  fi
  sleep "${SMOKE_PAUSE:-15}"
done
echo "The app is not complete or not well; with the function key, $url/api/health/details says why." >&2
exit 1
