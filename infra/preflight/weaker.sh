# shellcheck shell=bash disable=SC2034,SC2154 # variables belong to all parts of preflight.sh
# What is deployed, and would be weaker or cut off; sourced by preflight.sh.

rank() {
  case $1 in private) echo 2 ;; both) echo 1 ;; *) echo 0 ;; esac
}

check_openness() {
  local before now=${NETWORK:-public}
  before=$(deployed NETWORK)
  [ "$(rank "$before")" -le "$(rank "$now")" ] ||
    weaker NETWORK "$before is deployed, and $now would open storage, vault and app" "azd env set NETWORK $before"
}

check_sign_in() {
  local before
  before=$(deployed ENTRA_CLIENT_ID)
  [ -z "$before" ] || [ -n "${ENTRA_CLIENT_ID:-}" ] ||
    weaker ENTRA_CLIENT_ID "callers sign in, and without it a function key is enough" "azd env set ENTRA_CLIENT_ID $before"
}

check_ranges() {
  local before wider='' range
  before=$(parts "$(deployed ALLOWED_IP_RANGES)")
  [ -n "$before" ] || return 0
  if [ -z "$(parts "${ALLOWED_IP_RANGES:-}")" ]; then
    wider="any address"
  else
    for range in $(parts "${ALLOWED_IP_RANGES:-}"); do
      within_any "$range" "$before" || wider="${wider:+$wider, }$range"
    done
  fi
  [ -z "$wider" ] || weaker ALLOWED_IP_RANGES "$wider may not call the app as it is deployed, and might then" \
    "azd env set ALLOWED_IP_RANGES '$(joined <<<"$before")'"
}

within_any() {
  local wide
  for wide in $2; do
    if within "$1" "$wide"; then return 0; fi
  done
  return 1
}

# Whether one range lies within another; two of IP version 6 have to be the same.
within() {
  local narrow=$1 wide=$2 bits
  case $narrow$wide in
    *:*) [ "$(lower "${narrow%/128}")" = "$(lower "${wide%/128}")" ]; return ;;
  esac
  [[ $narrow =~ ^[0-9]+(\.[0-9]+){3}(/[0-9]+)?$ ]] || return 1 # the parameter file refuses it
  bits=$(mask "$wide")
  [ "$(mask "$narrow")" -ge "$bits" ] && [ $(($(number "$narrow") >> (32 - bits))) = $(($(number "$wide") >> (32 - bits))) ]
}

mask() {
  case $1 in */*) echo "${1#*/}" ;; *) echo 32 ;; esac
}

number() {
  local a b c d
  IFS=. read -r a b c d <<<"${1%/*}"
  echo $(((10#$a << 24) + (10#$b << 16) + (10#$c << 8) + 10#$d))
}

# What stands in a list that is deployed, and in the variable no more.
missing_from() {
  comm -23 <(parts "$1" | tr '[:upper:]' '[:lower:]' | sort -u) <(parts "$2" | tr '[:upper:]' '[:lower:]' | sort -u) | joined
}

check_people() {
  local before gone
  before=$(deployed ALERT_EMAILS)
  gone=$(missing_from "$before" "${ALERT_EMAILS:-}")
  [ -z "$gone" ] || weaker ALERT_EMAILS "$gone would no longer be told" "azd env set ALERT_EMAILS '$(parts "$before" | joined)'"
}

check_functions() {
  local before back
  before=$(deployed DISABLED_FUNCTIONS)
  back=$(missing_from "$before" "${DISABLED_FUNCTIONS:-}")
  [ -z "$back" ] || weaker DISABLED_FUNCTIONS "$back would run again" "azd env set DISABLED_FUNCTIONS '$(parts "$before" | joined)'"
}

# What was given, and is not any more: a colleague, or a new pipeline, deploys with fewer variables.
check_left_out() {
  local variable before gone
  for variable in APP_SETTINGS IDENTITY_ID NAT_GATEWAY_ID PRIVATE_DNS_ZONE_IDS ROUTE_TABLE_ID TAGS WORKSPACE_ID; do
    before=$(deployed "$variable")
    [ -n "$before" ] && [ "$before" != "{}" ] || continue
    # Without private endpoints, no zone is asked for.
    [ "$variable" != PRIVATE_DNS_ZONE_IDS ] || [ "$(rank "${NETWORK:-}")" -gt 0 ] || continue
    if [ -z "${!variable:-}" ]; then
      weaker "$variable" "'$before' is deployed, and would be left out" "azd env set $variable '$before'"
    elif [ "$variable" = APP_SETTINGS ] || [ "$variable" = TAGS ]; then
      gone=$(comm -23 <(names_in "$before") <(names_in "${!variable}") | joined)
      [ -z "$gone" ] || weaker "$variable" "'$before' is deployed, and $gone would be left out" "azd env set $variable '$before'"
    fi
  done
}

# What the templates choose where nothing is given: a deployment with fewer variables goes back to it.
DEFAULTS="ASSIGN_ROLES=true INSTANCE_MEMORY_MB=2048 MAXIMUM_INSTANCES=40 STORAGE_SKU=Standard_ZRS UPDATE_STRATEGY=Recreate
  ZONE_REDUNDANT=false"

check_defaults() {
  local choice variable before
  for choice in $DEFAULTS; do
    variable=${choice%=*} before=$(deployed "$variable")
    [ -z "$before" ] || [ "$before" = "${choice#*=}" ] || [ -n "${!variable:-}" ] || is_said_already ||
      weaker "$variable" "'$before' is deployed, and ${choice#*=} would take its place" "azd env set $variable '$before'"
  done
}

# An account that moves into zones is a finding of its own.
is_said_already() {
  [ "$variable" = STORAGE_SKU ] && [ "$(in_zones "$before")" = no ]
}

# The names in an object of JSON, or in a list of name=value, sorted.
names_in() {
  case $1 in
    "{"*) grep -oE '"[A-Za-z_]+"[[:space:]]*:' <<<"$1" | tr -d '": \t' ;;
    *) parts "$1" | sed 's/[[:space:]]*=.*//' ;;
  esac | sort
}

# What the templates keep for how many days; raw-cool deletes nothing.
DAYS="raw=365 runs=60 operations=730 deleted=14 evidence=2555 logs=90"

check_days() {
  local before was now kept kind shorter=''
  before=$(deployed RETENTION_DAYS)
  for kept in $DAYS; do
    kind=${kept%=*}
    now=$(days_of "$kind" "${RETENTION_DAYS:-}")
    was=$(days_of "$kind" "$before")
    [ -z "$was" ] || [ "$was" -le "${now:-${kept#*=}}" ] || shorter="${shorter:+$shorter, }$kind"
  done
  [ -z "$shorter" ] || weaker RETENTION_DAYS "of $shorter, fewer days would be kept than '$before', which is deployed" "azd env set RETENTION_DAYS '$before'"
}

days_of() {
  parts "$2" | sed -n "s/^$1 *= *\([0-9][0-9]*\)$/\1/p"
}

# How many days before today may have begun what still runs: OPUS_SUBMIT_HOURS and twice OPUS_SETTLE_SECONDS at their most.
DAYS_OF_OPERATIONS=9

check_operations() {
  local url ago day first='' at_work=0 found header variable
  url=$(deployed FUNCTION_APP_URL)
  [ -n "${APP_KEY:-}${APP_TOKEN:-}" ] && [ -n "$url" ] || return 0
  choose_header
  for ((ago = DAYS_OF_OPERATIONS; ago >= 0; ago--)); do
    day=$(day_before "$ago")
    if ! found=$(operations "$url/api/operations?date=$day"); then
      not_seen "operations at work$(hint)"
      return
    fi
    [ "$found" = 0 ] || first=${first:-$day}
    at_work=$((at_work + found))
  done
  [ "$at_work" = 0 ] || finding "$(deployed FUNCTION_APP_NAME)" "operations at work: $at_work, and a deployment ends what runs. \
Wait until they have ended: curl -H @- \"$url/api/operations?date=$first\" <<<\"$header\$$variable\""
}

# The app takes a token where callers sign in, and a key where they do not.
choose_header() {
  if [ -n "${APP_TOKEN:-}" ] && { [ -z "${APP_KEY:-}" ] || [ -n "$(deployed ENTRA_CLIENT_ID)" ]; }; then
    header="Authorization: Bearer " variable=APP_TOKEN
  else
    header="x-functions-key: " variable=APP_KEY
  fi
}

hint() {
  [ "$variable" = APP_TOKEN ] || [ -z "$(deployed ENTRA_CLIENT_ID)" ] ||
    printf %s " (callers sign in: put an access token into APP_TOKEN, as docs/access.md says)"
}

# GNU's date, or that of a Mac.
day_before() {
  date -u -d "$1 days ago" +%Y-%m-%d 2>/dev/null || date -u -v-"$1"d +%Y-%m-%d
}

# How many operations of a list, page by page, have not ended. The key goes by standard input, for a command line is there for all to read.
operations() {
  local list after='' total=0
  while :; do
    list=$(printf 'header = "%s%s"\n' "$header" "${!variable}" |
      curl --config - --silent --show-error --fail --max-time 30 "$1${after:+&after=$after}" 2>"$scratch/errors") || return 1
    total=$((total + $(grep -oE '"status": *"(NotStarted|Running)"' <<<"$list" | wc -l || true)))
    after=$(sed -n 's/.*"nextLink": *"[^"]*[?&]after=\([^"&]*\).*/\1/p' <<<"$list")
    [ -n "$after" ] || break
  done
  echo "$total"
}
