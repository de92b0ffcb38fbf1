#!/usr/bin/env bash
# Lets a Function App's own identity read Defender's alerts and machines: gives it the application roles
# Alert.Read.All and Machine.Read.All. What is granted already stays.
#
#   deploy/grant-roles.sh RESOURCE_GROUP APP [SUBSCRIPTION]
#
# Needs the Azure CLI, signed in as somebody who may grant application roles (Privileged Role Administrator).
# Run it before the app's first start: a token keeps the roles it was made with for up to a day. Without a subscription it
# is the one that the Azure CLI has chosen. Exit codes: 0 granted, 77 whoever is signed in may not grant, 1 something else.
set -euo pipefail

if (($# < 2 || $# > 3)); then
  echo "usage: $0 RESOURCE_GROUP APP [SUBSCRIPTION]" >&2
  exit 64
fi
group=$1
app=$2
subscription=${3-}
# WindowsDefenderATP, the same in every tenant.
defender=fc780465-2017-40d4-a0c5-307022471b92
# What was made just now is not known to every replica of the directory at once: how many seconds to wait for it, and
# between two tries (github.com/microsoftgraph/msgraph-bicep-types/issues/193).
timeout=120
pause=10

fail() {
  echo "$*" >&2
  exit 1
}

command -v az >/dev/null || fail "the Azure CLI is not installed: https://aka.ms/install-azure-cli"
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

# Runs an az command and leaves what it prints in $answer, what it complains of in $problem. Tries again while nothing
# is printed, the service is busy, or the complaint is one of those in $passes; $waits_for says what is waited for.
ask() {
  local waited=0 transient="${passes:+$passes|}Too Many Requests|TooManyRequests|Service Unavailable|Bad Gateway|Gateway Time-?out"
  while true; do
    problem=""
    if answer=$(az "$@" ${subscription:+--subscription "$subscription"} --only-show-errors 2>"$errors"); then
      # The client for Windows ends its lines with a return.
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

waits_for="$app shows no identity yet (if it has none: az functionapp identity assign -g $group -n $app)"
passes=""
ask functionapp identity show --resource-group "$group" --name "$app" --query principalId --output tsv || {
  [[ $problem ]] || fail "$app has no identity of its own: az functionapp identity assign -g $group -n $app"
  fail "$app was not read: sign in with az login, and check the names of the group and the app: $problem"
}
principal=$answer

graph=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv --only-show-errors)
graph=${graph%$'\r'}
graph=${graph%/}/v1.0/servicePrincipals

# One value of Defender's service principal.
ask_defender() {
  ask rest --method get --url "$graph(appId='$defender')" --query "$1" --output tsv
}

waits_for="this tenant shows no WindowsDefenderATP yet (if it was never there: set Defender for Endpoint up, or az ad sp create --id $defender)"
passes="Request_ResourceNotFound"
ask_defender id || {
  [[ $problem == *Request_ResourceNotFound* ]] || fail "WindowsDefenderATP was not read: $problem"
  fail "this tenant has no WindowsDefenderATP: set Defender for Endpoint up, or make it with az ad sp create --id $defender"
}
resource=$answer

for role in Alert.Read.All Machine.Read.All; do
  waits_for="WindowsDefenderATP shows no application role $role yet"
  passes="Request_ResourceNotFound"
  ask_defender "appRoles[?value=='$role' && contains(allowedMemberTypes, 'Application')].id | [0]" || {
    [[ ! $problem ]] || fail "WindowsDefenderATP was not read: $problem"
    fail "WindowsDefenderATP has no application role $role"
  }
  body="{\"principalId\":\"$principal\",\"resourceId\":\"$resource\",\"appRoleId\":\"$answer\"}"
  waits_for="$role: the directory does not know the identity of $app everywhere yet, or is busy"
  passes="Not a valid reference update|Request_ResourceNotFound"
  if ask rest --method post --url "$graph/$resource/appRoleAssignedTo" \
    --headers Content-Type=application/json --body "$body"; then
    echo "$role: granted to $app"
  else
    case $problem in
      # A try whose answer was lost has granted it, too.
      *"already exists"*) echo "$role: granted before" ;;
      *Authorization_RequestDenied*)
        echo "$role: you may not grant it; ask a Privileged Role Administrator to run this" >&2
        exit 77
        ;;
      *"Not a valid reference update"* | *Request_ResourceNotFound*)
        fail "$role: the directory still does not know the identity of $app; run this again in some minutes: $problem"
        ;;
      *) fail "$role: $problem" ;;
    esac
  fi
done
