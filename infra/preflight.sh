#!/usr/bin/env bash
# What would stop a deployment, or would make weaker what is deployed. It looks, and changes nothing.
#
# usage: preflight.sh        with the variables of main.bicepparam in the environment
#
# One line a finding: the variable or resource, what is wrong, and the command that cures it.
# Exit status: 0 nothing is wrong, 1 something is, 2 it cannot look.
#
# AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP   where to look; default: where az is signed in, rg-$AZURE_ENV_NAME
# ALLOW_WEAKER=true                             what only weakens is told, and passes
# APP_KEY, or APP_TOKEN where callers sign in   a function key of the app, or an access token: operations at work are told
set -euo pipefail

parts=$(dirname "$0")/preflight
# shellcheck source=preflight/looking.sh
source "$parts/looking.sh"
# shellcheck source=preflight/fixed.sh
source "$parts/fixed.sh"
# shellcheck source=preflight/given.sh
source "$parts/given.sh"
# shellcheck source=preflight/weaker.sh
source "$parts/weaker.sh"

trim_variables
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

command -v az >/dev/null || cannot_look "az is not here: install Azure's command line, https://aka.ms/azure-cli"
group=${AZURE_RESOURCE_GROUP:-${AZURE_ENV_NAME:+rg-$AZURE_ENV_NAME}}
[ -n "$group" ] || cannot_look "AZURE_ENV_NAME is not set, nor AZURE_RESOURCE_GROUP: azd env set AZURE_ENV_NAME avepoint"
subscription=$(azure account show --query id --output tsv) ||
  cannot_look "az is not signed in${AZURE_SUBSCRIPTION_ID:+ to $AZURE_SUBSCRIPTION_ID}: az login"
group_id=/subscriptions/$subscription/resourceGroups/$group
if ! group_location=$(azure group show --name "$group" --query location --output tsv); then
  grep -q 'NotFound\|could not be found' "$scratch/errors" || cannot_look "$group: $(why): az login"
  group_location=
fi
output_names=() output_values=() under_way=
[ -z "$group_location" ] || read_history
location=$(lower "${AZURE_LOCATION:-$group_location}" | tr -d ' ')

if [ -n "$location" ]; then
  check_region
  check_zones
  check_sku
else
  finding AZURE_LOCATION "it is not set, and $group is not there to take it from: azd env set AZURE_LOCATION westeurope"
fi
check_under_way
check_what_is_fixed
check_evidence
check_budget
check_providers
check_vault
check_secret
check_rights
check_network
check_openness
check_sign_in
check_ranges
check_people
check_functions
check_left_out
check_defaults
check_days
check_operations

[ "$findings" = 0 ]
