# shellcheck shell=bash disable=SC2034,SC2154 # variables belong to all parts of preflight.sh
# How preflight.sh looks and tells; it is sourced.

findings=0

finding() {
  echo "$1: $2"
  findings=$((findings + 1))
}

weaker() {
  if [ "${ALLOW_WEAKER:-}" = true ]; then
    echo "$1: $2 (allowed: ALLOW_WEAKER)"
  else
    finding "$1" "$2: $3, or set ALLOW_WEAKER=true if it is meant"
  fi
}

cannot_look() {
  echo "$1" >&2
  exit 2
}

not_seen() {
  echo "not looked at: $1: $(why)" >&2
}

# What az said last.
why() {
  local said
  said=$(grep -m 1 ERROR "$scratch/errors" || tail -n 1 "$scratch/errors")
  echo "${said:-nothing came}"
}

azure() {
  az "$@" ${AZURE_SUBSCRIPTION_ID:+--subscription "$AZURE_SUBSCRIPTION_ID"} --only-show-errors 2>"$scratch/errors" </dev/null
}

lower() {
  printf %s "$1" | tr '[:upper:]' '[:lower:]'
}

# The parts of a list, one a line; an output may be a list of JSON.
parts() {
  printf %s "$1" | tr -d '[]"' | tr ',' '\n' | sed 's/^[[:space:]]*//; s/[[:space:]]*$//; /^$/d'
}

joined() {
  paste -s -d, - | sed 's/,/, /g'
}

# As main.bicepparam reads them: blanks around a value are none of it.
trim_variables() {
  local variable value
  for variable in $(compgen -e); do
    [[ $variable =~ ^[A-Z][A-Z_]+$ ]] || continue
    value=${!variable}
    value=${value#"${value%%[![:space:]]*}"} value=${value%"${value##*[![:space:]]}"}
    [ "$value" = "${!variable}" ] || printf -v "$variable" %s "$value"
  done
}

# Whether the newest deployment has an output of this name.
knows() {
  [[ " ${output_names[*]-} " == *" $1 "* ]]
}

# The value that an output of the newest deployment has, whatever the case of its name.
deployed() {
  local i
  [ ${#output_names[@]} -gt 0 ] || return 0
  for i in "${!output_names[@]}"; do
    if [ "${output_names[$i]}" = "$1" ]; then
      [ "${output_values[$i]}" = null ] || printf %s "${output_values[$i]}"
      return
    fi
  done
}

read_history() {
  output_names=() output_values=() under_way=
  local history state name names values
  # A row a deployment, newest first: state, name, names of its outputs, their values.
  history=$(azure deployment group list --resource-group "$group" --output tsv --query \
    "reverse(sort_by(@, &properties.timestamp))[].[properties.provisioningState, name,
      join(\`\"\\u001f\"\`, keys(properties.outputs || \`{}\`)),
      join(\`\"\\u001f\"\`, values(properties.outputs || \`{}\`)[].to_string(value))]") ||
    cannot_look "$group: its deployments cannot be read: $(why)"
  while IFS=$'\t' read -r state name names values; do
    case $state in
      Succeeded)
        names=$(printf %s "$names" | tr '[:lower:]' '[:upper:]')
        if [ ${#output_names[@]} = 0 ] && [[ $'\x1f'$names$'\x1f' == *$'\x1f'AZURE_ENV_NAME$'\x1f'* ]]; then
          IFS=$'\x1f' read -r -a output_names <<<"$names"
          IFS=$'\x1f' read -r -a output_values <<<"$values"$'\x1f'
        fi
        ;;
      Failed | Canceled | '') ;;
      *) under_way=$name ;; # the oldest is what the others are parts of
    esac
  done <<<"$history"
}
