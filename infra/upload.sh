#!/usr/bin/env bash
# Install a package of the app, again and again while the roles of a new environment spread.
#
# usage: upload.sh RESOURCE_GROUP FUNCTION_APP PACKAGE [BUILD_REMOTE]
#
# BUILD_REMOTE is true (Azure installs requirements.txt) or false (`make package` has).
# After a first deployment, storage and site refuse for some minutes, with 403, 503 or "partially successful":
# UPLOAD_ATTEMPTS times, UPLOAD_PAUSE seconds apart.
set -euo pipefail

[ $# = 3 ] || [ $# = 4 ] || { echo "usage: upload.sh RESOURCE_GROUP FUNCTION_APP PACKAGE [BUILD_REMOTE]" >&2; exit 2; }
group=$1 app=$2 package=$3 build_remote=${4:-true} attempts=${UPLOAD_ATTEMPTS:-8}
[ -f "$package" ] || { echo "$package is not here: make package" >&2; exit 2; }

upload() {
  if [ "$build_remote" = true ]; then
    az functionapp deployment source config-zip --resource-group "$group" --name "$app" --src "$package" \
      --build-remote true --only-show-errors --output none
  else
    publish
  fi
}

# az 2.91 asks for a remote build of every Python app, whatever it is told; so this says what az would say, but for that.
publish() {
  local host token
  host=$(az functionapp show --resource-group "$group" --name "$app" --only-show-errors --output tsv \
    --query "(hostNameSslStates || properties.hostNameSslStates)[?hostType=='Repository'].name | [0]") || return 1
  token=$(az account get-access-token --query accessToken --output tsv) || return 1
  scm "https://$host/api/publish?RemoteBuild=false&Deployer=az_cli" --header "Content-Type: application/zip" \
    --data-binary "@$package" >/dev/null || return 1
  installed "https://$host/api/deployments/latest"
}

# The token goes by standard input, for a command line is there for all to read.
scm() {
  printf 'header = "Authorization: Bearer %s"\n' "$token" | curl --config - --silent --show-error --fail-with-body --max-time 600 "$@"
}

# Wait until the deployment has ended: 4 is well.
installed() {
  local poll status
  for ((poll = 0; poll < 150; poll++)); do
    status=$(scm "$1" | jq -r '.status // empty') || return 1
    case $status in
      4) return 0 ;;
      -1 | 3 | 5 | 6) echo "The deployment of the package ended with status $status." >&2; return 1 ;;
    esac
    sleep "${UPLOAD_POLL:-2}"
  done
  echo "The deployment of the package does not end." >&2
  return 1
}

for ((attempt = 1; attempt <= attempts; attempt++)); do
  if upload; then
    echo "The package is installed."
    exit 0
  fi
  echo "Attempt $attempt of $attempts failed." >&2
  [ "$attempt" = "$attempts" ] || sleep "${UPLOAD_PAUSE:-60}"
done
echo "$app: the package could not be installed; docs/first-deployment.md says what can stop it" >&2
exit 1
