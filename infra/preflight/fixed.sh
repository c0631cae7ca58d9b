# shellcheck shell=bash disable=SC2034,SC2154 # variables belong to all parts of preflight.sh
# What is deployed, and Azure refuses to change; sourced by preflight.sh.

check_under_way() {
  [ -z "$under_way" ] || finding "$under_way" "this deployment still goes on (DeploymentActive): wait until it has ended, \
az deployment group wait --created --resource-group $group --name $under_way"
}

# check_fixed VARIABLE DEFAULT WHY: what is asked for has to be what is deployed.
check_fixed() {
  local before now
  knows "$1" || return 0
  before=$(deployed "$1") now=${!1:-$2}
  before=${before:-$2}
  [ "$(sorted "$before")" = "$(sorted "$now")" ] ||
    finding "$1" "'$before' is deployed, and '$now' is asked for; $3: azd env set $1 '$before'"
}

# A value as it is compared: in whatever case, with blanks or without, and a list in whatever order.
sorted() {
  parts "$(lower "$1")" | tr -d ' ' | sort
}

check_what_is_fixed() {
  check_fixed AZURE_ENV_NAME '' "another name makes everything anew beside it"
  check_fixed AZURE_LOCATION "$group_location" "nothing that is deployed moves to another region"
  check_fixed RESOURCE_NAMES '' "other names make empty resources beside those that hold the data"
  check_fixed STORAGE_ENCRYPTION platform "encryption is chosen when an account is made, and Azure refuses another one later"
  [ "$(lower "$(deployed EVIDENCE_LOCKED)")" != true ] ||
    check_fixed EVIDENCE_LOCKED false "Azure refuses to write a policy that is locked"
  # Without private endpoints, nothing is written to those that are there.
  if [ "$(rank "$(deployed NETWORK)")" -gt 0 ] && [ "$(rank "${NETWORK:-}")" -gt 0 ]; then
    check_fixed ENDPOINT_SUBNET_ID '' "a private endpoint cannot change its subnet"
    check_fixed NETWORK_ADDRESS_PREFIX 10.60.0.0/24 "a subnet that is in use keeps its addresses"
  fi
  [ "$(in_zones "$(deployed STORAGE_SKU)")" = "$(in_zones "${STORAGE_SKU:-}")" ] || is_converted ||
    check_fixed STORAGE_SKU Standard_ZRS "an account moves into zones, or out of them, by a conversion of its own"
}

# Whether the storage has become what is asked for since the last deployment.
is_converted() {
  local account
  account=$(deployed DATA_STORAGE_ACCOUNT)
  [ -n "$account" ] && [ "$(azure storage account show --name "$account" --resource-group "$group" --query sku.name \
    --output tsv)" = "${STORAGE_SKU:-Standard_ZRS}" ]
}

# The policy may be locked by hand, after a deployment that did not know of it.
check_evidence() {
  local account container
  account=$(deployed DATA_STORAGE_ACCOUNT) container=$(deployed EVIDENCE_CONTAINER)
  [ -n "$account" ] && [ "${EVIDENCE_LOCKED:-false}" != true ] && [ "$(lower "$(deployed EVIDENCE_LOCKED)")" != true ] || return 0
  [ "$(azure storage container immutability-policy show --account-name "$account" --container-name "${container:-opus-evidence}" \
    --resource-group "$group" --query state --output tsv)" != Locked ] ||
    finding EVIDENCE_LOCKED "the policy of $account is locked, and Azure refuses to write it again: azd env set EVIDENCE_LOCKED true"
}

in_zones() {
  case ${1:-Standard_ZRS} in *ZRS) echo yes ;; *) echo no ;; esac
}

check_budget() {
  local from=${MONTHLY_BUDGET_FROM:-} this_month began
  [[ -n ${MONTHLY_BUDGET:-} && $from =~ ^[0-9]{4}-[0-9]{2}-01$ ]] || return 0 # the parameter file refuses what is none
  this_month=$(date -u +%Y-%m-01)
  if [ -n "$(deployed MONTHLY_BUDGET_FROM)" ]; then
    check_fixed MONTHLY_BUDGET_FROM '' "the first day of a budget can never change"
    return
  fi
  began=$(budget_began)
  if [ -n "$began" ]; then
    [ "$began" = "$from" ] || finding MONTHLY_BUDGET_FROM "there is a budget that begins on $began, and its first day can never change: \
azd env set MONTHLY_BUDGET_FROM $began"
  elif [[ $from < $this_month ]]; then
    finding MONTHLY_BUDGET_FROM "$from lies in a past month, and Azure makes no such budget: azd env set MONTHLY_BUDGET_FROM $this_month"
  elif [ $((12 * 10#${from:0:4} + 10#${from:5:2})) -gt $((12 * (10#${this_month:0:4} + 1) + 10#${this_month:5:2})) ]; then
    finding MONTHLY_BUDGET_FROM "$from is more than a year away, and Azure makes no such budget: azd env set MONTHLY_BUDGET_FROM $this_month"
  fi
}

# The first day of the budget of this environment: a deployment without one leaves it in Azure.
budget_began() {
  azure rest --method get --query "value[].[name, properties.timePeriod.startDate]" --output tsv \
    --url "$group_id/providers/Microsoft.Consumption/budgets?api-version=2023-05-01" |
    sed -n "s/^budget-${AZURE_ENV_NAME:-}-[a-z0-9]\{5\}[[:space:]]*\(.\{10\}\).*/\1/p" | head -n 1 || true
}
