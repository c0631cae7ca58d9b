#!/usr/bin/env bash
# What a deployment would change, for whoever agrees to it: changed paths and the variables in force, as Markdown.
#
# usage: preview.sh RESOURCE_GROUP        with the variables of main.bicepparam in the environment
#
# It changes nothing, and rights to read are enough (and the action Microsoft.Resources/deployments/whatIf).
set -euo pipefail

[ $# = 1 ] || { echo "usage: preview.sh RESOURCE_GROUP" >&2; exit 2; }
group=$1 here=$(dirname "$0")
parameters=$here/main.bicepparam

changes=$(az deployment group what-if --resource-group "$group" --parameters "$parameters" \
  --validation-level ProviderNoRbac --no-prompt --no-pretty-print --only-show-errors)
changed=$(jq -rf "$here/preview.jq" <<<"$changes")

echo "### What changes in $group"
echo
if [ -n "$changed" ]; then
  printf '| change | resource | path: before → after |\n|---|---|---|\n%s\n' "$changed"
else
  echo "Nothing."
fi
echo
echo "### Variables in force"
echo
printf '| variable | value |\n|---|---|\n'
grep -o "readEnvironmentVariable('[A-Z_]*'" "$parameters" | cut -d "'" -f 2 | sort -u | while read -r variable; do
  case $variable in *SECRET) continue ;; esac
  [ -z "${!variable:-}" ] || printf '| %s | %s |\n' "$variable" "$(printf %s "${!variable}" | tr '|\n\r`' ' ')"
done
