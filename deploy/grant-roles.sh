#!/usr/bin/env bash
# Grants a Function App's own identity the application roles with which it reads alerts and machines: Alert.Read.All and
# Machine.Read.All of Defender, or with --source graph SecurityAlert.Read.All of Microsoft Graph, and with --hunting also
# ThreatHunting.Read.All. A role that is granted already is left as it is.
#
#   deploy/grant-roles.sh [--source defender|graph] [--hunting] RESOURCE_GROUP APP [SUBSCRIPTION]
#
# Needs the Azure CLI, signed in as a user who may grant application roles (Privileged Role Administrator). Run it before
# the app's first start: a token keeps the roles it was issued with for up to a day. SUBSCRIPTION defaults to the one that
# the Azure CLI has selected. Exit codes: 0 granted, 77 the signed-in user may not grant the roles, 1 any other failure.
set -euo pipefail

usage() {
  echo "usage: $0 [--source defender|graph] [--hunting] RESOURCE_GROUP APP [SUBSCRIPTION]" >&2
  exit 64
}

source=defender
hunting=""
while [[ ${1-} == --* ]]; do
  case $1 in
    --source)
      source=${2-}
      shift
      ;;
    --hunting) hunting=yes ;;
    *) usage ;;
  esac
  shift || usage
done
(($# == 2 || $# == 3)) || usage
group=$1
app=$2
subscription=${3-}
# Client ids are the same in every tenant. The ids of roles are not the same in every cloud, so they are looked up by name.
case $source in
  defender)
    api=fc780465-2017-40d4-a0c5-307022471b92
    api_name=WindowsDefenderATP
    roles=(Alert.Read.All Machine.Read.All)
    ;;
  graph)
    api=00000003-0000-0000-c000-000000000000
    api_name="Microsoft Graph"
    roles=(SecurityAlert.Read.All)
    ;;
  *) usage ;;
esac
if [[ $hunting ]]; then
  [[ $source == graph ]] || usage
  roles+=(ThreatHunting.Read.All)
fi
# A new object is not in every replica of the directory at once. The seconds to wait for it, and between two tries
# (github.com/microsoftgraph/msgraph-bicep-types/issues/193).
timeout=120
pause=10

fail() {
  echo "$*" >&2
  exit 1
}

command -v az >/dev/null || fail "the Azure CLI is not installed: https://aka.ms/install-azure-cli"
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

# Runs an az command, and sets $answer to its output and $problem to its errors. Tries again while there is no output, while
# the service is busy, or while the error matches $transient_errors. $waits_for describes what is missing.
ask() {
  local waited=0 transient="${transient_errors:+$transient_errors|}Too Many Requests|TooManyRequests|Service Unavailable|Bad Gateway|Gateway Time-?out"
  while true; do
    problem=""
    if answer=$(az "$@" ${subscription:+--subscription "$subscription"} --only-show-errors 2>"$errors"); then
      # On Windows the Azure CLI ends lines with a carriage return.
      answer=${answer%$'\r'}
      [[ ! $answer ]] || return 0
    else
      problem=$(<"$errors")
      [[ $problem =~ $transient ]] || return 1
    fi
    ((waited < timeout)) || return 1
    ((waited)) || echo "$waits_for; trying again for up to $((timeout / 60)) minutes" >&2
    sleep "$pause"
    waited=$((waited + pause))
  done
}

waits_for="$app has no identity yet (if it should have none: az functionapp identity assign -g $group -n $app)"
transient_errors=""
ask functionapp identity show --resource-group "$group" --name "$app" --query principalId --output tsv || {
  [[ $problem ]] || fail "$app has no identity of its own. Fix: az functionapp identity assign -g $group -n $app"
  fail "cannot read $app: $problem. Fix: sign in with az login, and check the names of the group and the app"
}
principal=$answer

graph=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv --only-show-errors)
graph=${graph%$'\r'}
graph=${graph%/}/v1.0/servicePrincipals

# Reads one value of the service principal of the API.
ask_api() {
  ask rest --method get --url "$graph(appId='$api')" --query "$1" --output tsv
}

waits_for="this tenant has no $api_name yet (if it never had: set up Defender for Endpoint, or az ad sp create --id $api)"
transient_errors="Request_ResourceNotFound"
ask_api id || {
  [[ $problem == *Request_ResourceNotFound* ]] || fail "cannot read $api_name: $problem"
  fail "this tenant has no $api_name. Fix: set up Defender for Endpoint, or create it with az ad sp create --id $api"
}
resource=$answer

for role in "${roles[@]}"; do
  waits_for="$api_name has no application role $role yet"
  transient_errors="Request_ResourceNotFound"
  ask_api "appRoles[?value=='$role' && contains(allowedMemberTypes, 'Application')].id | [0]" || {
    [[ ! $problem ]] || fail "cannot read $api_name: $problem"
    fail "$api_name has no application role $role"
  }
  body="{\"principalId\":\"$principal\",\"resourceId\":\"$resource\",\"appRoleId\":\"$answer\"}"
  waits_for="$role: the identity of $app is not in every replica of the directory yet, or the directory is busy"
  transient_errors="Not a valid reference update|Request_ResourceNotFound"
  if ask rest --method post --url "$graph/$resource/appRoleAssignedTo" \
    --headers Content-Type=application/json --body "$body"; then
    echo "$role: granted to $app"
  else
    case $problem in
      # An earlier try whose response was lost may have granted it.
      *"already exists"*) echo "$role: already granted" ;;
      *Authorization_RequestDenied*)
        echo "$role: you may not grant it. Fix: ask a Privileged Role Administrator to run this script" >&2
        exit 77
        ;;
      *"Not a valid reference update"* | *Request_ResourceNotFound*)
        fail "$role: the identity of $app is still not in every replica of the directory: $problem. Fix: run this script again in a few minutes"
        ;;
      *) fail "$role: $problem" ;;
    esac
  fi
done
