# shellcheck shell=bash disable=SC2034,SC2154 # variables belong to all parts of preflight.sh
# What a deployment needs from outside: providers, region, names, rights, networks; sourced by preflight.sh.

# What the templates need; the last two for a network alone.
PROVIDERS="Microsoft.Authorization Microsoft.Consumption Microsoft.EventGrid Microsoft.Insights Microsoft.KeyVault Microsoft.Logic
  Microsoft.ManagedIdentity Microsoft.OperationalInsights Microsoft.Resources Microsoft.Storage Microsoft.Web"
PROVIDERS_OF_NETWORKS="Microsoft.App Microsoft.Network"
# Regions of Flex Consumption whose storage has no zones, for whoever may not list what storage there is.
WITHOUT_ZONES="westus northcentralus westcentralus ukwest australiasoutheast southindia"

check_providers() {
  local registered needed=$PROVIDERS provider state
  [ "${NETWORK:-public}" = public ] || needed="$needed $PROVIDERS_OF_NETWORKS"
  if ! registered=$(azure provider list --query "[].[namespace, registrationState]" --output tsv); then
    not_seen "which resource providers are registered"
    return
  fi
  while read -r provider state; do
    [ -n "$provider" ] || continue
    case " $(lower "$needed" | tr '\n' ' ') " in
      *" $(lower "$provider") "*)
        [ "$state" = Registered ] ||
          finding "$provider" "this resource provider is $state: az provider register --wait --namespace $provider"
        ;;
    esac
  done <<<"$registered"
}

check_region() {
  local regions
  if ! regions=$(azure functionapp list-flexconsumption-locations --query "[].name" --output tsv) || [ -z "$regions" ]; then
    not_seen "which regions have Flex Consumption"
  elif ! grep -qx "$location" <<<"$regions"; then
    finding AZURE_LOCATION "$location has no Flex Consumption; choose one of: az functionapp list-flexconsumption-locations --output table"
  fi
}

check_zones() {
  local regions
  [ "${ZONE_REDUNDANT:-false}" = true ] || return 0
  if ! regions=$(azure functionapp list-flexconsumption-locations --zone-redundant --query "[].name" --output tsv); then
    not_seen "which regions have Flex Consumption in several zones"
  elif ! grep -qx "$location" <<<"$regions"; then
    finding ZONE_REDUNDANT "$location has Flex Consumption in one zone only: azd env set ZONE_REDUNDANT false"
  fi
}

check_sku() {
  local sku=${STORAGE_SKU:-Standard_ZRS} skus
  skus=$(azure storage sku list --output tsv \
    --query "[?kind=='StorageV2' && contains(locations || \`[]\`, '$location')].name") || not_seen "what storage $location has"
  if [ -n "$skus" ]; then
    grep -qx "$sku" <<<"$skus" || no_sku
  elif [[ $sku == *ZRS && " $WITHOUT_ZONES " == *" $location "* ]]; then
    no_sku
  fi
}

no_sku() {
  finding STORAGE_SKU "$location has no storage of $sku: azd env set STORAGE_SKU Standard_LRS"
}

check_vault() {
  local known deleted name vault_id place environment
  known=$(deployed KEY_VAULT_NAME)
  [ -n "$known" ] || known=$(parts "${RESOURCE_NAMES:-}" | sed -n 's/^vault *= *//p')
  if ! deleted=$(azure keyvault list-deleted --resource-type vault --output tsv --query \
    "[].[name, properties.vaultId, properties.location, properties.tags.\"azd-env-name\" || '-']"); then
    not_seen "which vaults were deleted"
    return
  fi
  while IFS=$'\t' read -r name vault_id place environment; do
    if is_ours; then
      finding "$name" "a deleted vault still has this name: $(recovery)"
    fi
  done <<<"$deleted"
}

# Of this name, or, as long as none is known, of this group or environment.
is_ours() {
  [ -n "$name" ] || return 1
  [ -z "$known" ] || { [ "$(lower "$name")" = "$(lower "$known")" ]; return; }
  [[ $name == kv-* && ($place == None || $(lower "$place" | tr -d ' ') == "$location") ]] || return 1
  [[ $environment == "${AZURE_ENV_NAME:-}" || $(lower "$vault_id") == *"/resourcegroups/$(lower "$group")/"* ]]
}

# A vault comes back into the group that it was deleted from, and into no other.
recovery() {
  if [[ $(lower "$vault_id") != *"/resourcegroups/$(lower "$group")/"* ]]; then
    printf %s "it was in another group, $(cut -d / -f 5 <<<"$vault_id"); give this one another name: azd env set RESOURCE_NAMES vault=…"
    return
  fi
  [ -n "$group_location" ] || printf %s "az group create --name $group --location $location && "
  printf %s "az keyvault recover --name $name --location $location --resource-group $group"
}

# A pipeline shows its secret to the step alone that deploys; that there is one, its end says.
check_secret() {
  local vault name secret ends=${AVEPOINT_CLIENT_SECRET_EXPIRES_ON:-}
  vault=$(deployed KEY_VAULT_NAME)
  [ -n "${AVEPOINT_CLIENT_SECRET:-}$ends" ] || return 0
  if [ -z "$vault" ]; then
    [ -z "${AVEPOINT_CLIENT_SECRET:-}" ] || [ -z "$ends" ] || [[ ! ${ends:0:10} < $(date -u +%Y-%m-%d) ]] ||
      finding AVEPOINT_CLIENT_SECRET_EXPIRES_ON "the secret has ended on ${ends:0:10}: make a new one in AvePoint Online Services, and \
azd env set AVEPOINT_CLIENT_SECRET_EXPIRES_ON its last day"
    return
  fi
  secret=$(setting AVEPOINT_CLIENT_SECRET_NAME) secret=${secret:-avepoint-client-secret}
  if ! name=$(azure keyvault secret list-deleted --vault-name "$vault" --output tsv --query "[?name=='$secret'].name"); then
    not_seen "which secrets of $vault were deleted"
  elif [ -n "$name" ]; then
    finding "$name" "this secret is softly deleted, and a new one of its name is refused: \
az keyvault secret recover --vault-name $vault --name $name"
  fi
}

# The text that an app setting has in APP_SETTINGS.
setting() {
  sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" <<<"$(tr '\n' ' ' <<<"${APP_SETTINGS:-}")"
}

check_rights() {
  local scope=$group_id allowed
  [ "${ASSIGN_ROLES:-true}" != false ] || return 0
  [ -n "$group_location" ] || scope=/subscriptions/$subscription
  if ! allowed=$(azure rest --method get --output tsv --query "value[].[join(' ', actions || \`[]\`), join(' ', notActions || \`[]\`)]" \
    --url "$scope/providers/Microsoft.Authorization/permissions?api-version=2022-04-01") || [ -z "$allowed" ]; then
    not_seen "whether you may assign roles"
  elif ! may_assign "$allowed"; then
    finding ASSIGN_ROLES "you may not assign roles here: azd env set ASSIGN_ROLES false (the deployment then ends with the table for \
whoever may), or let them run: az role assignment create --role 'Role Based Access Control Administrator' --assignee YOU --scope $scope"
  fi
}

may_assign() {
  local actions refused
  while IFS=$'\t' read -r actions refused; do
    if matches "$actions" && ! matches "$refused"; then return 0; fi
  done <<<"$1"
  return 1
}

# Whether one of the patterns stands for the right to assign roles.
matches() {
  local pattern
  set -f
  for pattern in $(lower "$1"); do
    # shellcheck disable=SC2053 # a pattern it is
    [[ microsoft.authorization/roleassignments/write == $pattern ]] && { set +f; return 0; }
  done
  set +f
  return 1
}

check_network() {
  local variable subnet place delegation
  for variable in APP_SUBNET_ID ENDPOINT_SUBNET_ID; do
    subnet=${!variable:-}
    [ "${NETWORK:-public}" != public ] && [ -n "$subnet" ] || continue
    if ! place=$(azure network vnet show --ids "${subnet%/subnets/*}" --query location --output tsv); then
      not_seen "where the network of $variable is"
    elif [ "$place" != "$location" ]; then
      finding "$variable" "its network is in $place, and the app in $location; both have to be in one region: azd env set AZURE_LOCATION $place"
    fi
  done
  subnet=${APP_SUBNET_ID:-}
  [ "${NETWORK:-public}" != public ] && [ -n "$subnet" ] || return 0
  if ! delegation=$(azure network vnet subnet show --ids "$subnet" --query "delegations[].serviceName" --output tsv); then
    not_seen "to what APP_SUBNET_ID is delegated"
  elif [ "$delegation" != Microsoft.App/environments ]; then
    finding APP_SUBNET_ID "this subnet is not delegated to Microsoft.App/environments: \
az network vnet subnet update --ids $subnet --delegations Microsoft.App/environments"
  fi
}
