#!/usr/bin/env bash
# Grants a Function App's own identity the application roles Alert.Read.All and Machine.Read.All, with which it reads
# Defender's alerts and machines. A role that is granted already is left as it is.
#
#   deploy/grant-roles.sh RESOURCE_GROUP APP [SUBSCRIPTION]
#
# Needs the Azure CLI, signed in as a user who may grant application roles (Privileged Role Administrator). Run it before
# the app's first start: a token keeps the roles it was issued with for up to a day. SUBSCRIPTION defaults to the one that
# the Azure CLI has selected. Exit codes: 0 granted, 77 the signed-in user may not grant the roles, 1 any other failure.
set -euo pipefail

if (($# < 2 || $# > 3)); then
  echo "usage: $0 RESOURCE_GROUP APP [SUBSCRIPTION]" >&2
  exit 64
fi
group=$1
app=$2
subscription=${3-}
# The client id of WindowsDefenderATP, the same in every tenant.
defender=fc780465-2017-40d4-a0c5-307022471b92
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

# Reads one value of Defender's service principal.
ask_defender() {
  ask rest --method get --url "$graph(appId='$defender')" --query "$1" --output tsv
}

waits_for="this tenant has no WindowsDefenderATP yet (if it never had: set up Defender for Endpoint, or az ad sp create --id $defender)"
transient_errors="Request_ResourceNotFound"
ask_defender id || {
  [[ $problem == *Request_ResourceNotFound* ]] || fail "cannot read WindowsDefenderATP: $problem"
  fail "this tenant has no WindowsDefenderATP. Fix: set up Defender for Endpoint, or create it with az ad sp create --id $defender"
}
resource=$answer

for role in Alert.Read.All Machine.Read.All; do
  waits_for="WindowsDefenderATP has no application role $role yet"
  transient_errors="Request_ResourceNotFound"
  ask_defender "appRoles[?value=='$role' && contains(allowedMemberTypes, 'Application')].id | [0]" || {
    [[ ! $problem ]] || fail "cannot read WindowsDefenderATP: $problem"
    fail "WindowsDefenderATP has no application role $role"
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
