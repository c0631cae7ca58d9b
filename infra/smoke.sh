#!/usr/bin/env bash
# After a deployment: is every function there, and is the app well? It reads only.
#
# usage: smoke.sh RESOURCE_GROUP FUNCTION_APP URL
#
# A new package takes a while to be seen, so both are asked for SMOKE_ATTEMPTS times, SMOKE_PAUSE seconds apart.
# One line a finding. Exit status: 0 all is well, 1 something is not, 2 it cannot look.
set -euo pipefail

[ $# = 3 ] || { echo "usage: smoke.sh RESOURCE_GROUP FUNCTION_APP URL" >&2; exit 2; }
group=$1 app=$2 url=$3 attempts=${SMOKE_ATTEMPTS:-20}
expected=$(sort "$(dirname "$0")/functions.txt")

# Prints what is wrong.
findings() {
  local functions
  if functions=$(az functionapp function list --resource-group "$group" --name "$app" --query '[].name' --output tsv \
    --only-show-errors); then
    functions=$(grep -o '[^/]*$' <<<"$functions" | sort || true)
    comm -23 <(echo "$expected") <(echo "$functions") | sed '/^$/d; s/^/missing: /'
    comm -13 <(echo "$expected") <(echo "$functions") | sed '/^$/d; s/^/unexpected: /'
  else
    echo "functions: those of $app cannot be listed"
  fi
  health
}

health() {
  local status
  status=$(curl --silent --show-error --output /dev/null --write-out '%{http_code}' --max-time 30 "$url/api/health") || true
  case $status in
    200) ;;
    000) echo "health: nothing answers at $url" ;;
    403) echo "health: $url does not let this machine in: run this inside its network, or add its address to ALLOWED_IP_RANGES" ;;
    503) echo "health: the app is not well; with the function key, $url/api/health/details says why" ;;
    *) echo "health: $url answers $status" ;;
  esac
}

command -v az >/dev/null || { echo "az is not here: install Azure's command line, https://aka.ms/azure-cli" >&2; exit 2; }
az account show >/dev/null 2>&1 || { echo "az is not signed in: az login" >&2; exit 2; }
for ((attempt = 1; attempt <= attempts; attempt++)); do
  found=$(findings)
  if [ -z "$found" ]; then
    echo "All $(wc -l <<<"$expected" | tr -d ' ') functions are there, and the app is well."
    exit 0
  fi
  [ "$attempt" = "$attempts" ] || sleep "${SMOKE_PAUSE:-15}"
done
echo "$found"
exit 1
