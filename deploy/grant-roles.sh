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

if (($# != 2 && $# != 3)); then
  echo "usage: $0 RESOURCE_GROUP APP [SUBSCRIPTION]" >&2
  exit 64
fi
group=$1
app=$2
subscription=${3-}
# WindowsDefenderATP, the same in every tenant.
defender=fc780465-2017-40d4-a0c5-307022471b92

fail() {
  echo "$*" >&2
  exit 1
}

command -v az >/dev/null || fail "az is not installed: https://aka.ms/install-azure-cli"

# az, in the subscription given. Not all commands take one.
az_there() {
  az "$@" ${subscription:+--subscription "$subscription"}
}

principal=$(az_there functionapp identity show --resource-group "$group" --name "$app" --query principalId --output tsv) ||
  fail "$app was not read: sign in with az login, and check the names of the group and the app"
[[ $principal ]] || fail "$app has no identity of its own: az functionapp identity assign -g $group -n $app"

graph=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv)
defender_url=${graph%/}/v1.0/servicePrincipals\(appId=\'$defender\'\)

# One value of Defender's service principal.
defender_value() {
  az_there rest --method get --url "$defender_url" --query "$1" --output tsv
}

resource=$(defender_value id) ||
  fail "this tenant has no WindowsDefenderATP: set Defender for Endpoint up, or make it with az ad sp create --id $defender"

for role in Alert.Read.All Machine.Read.All; do
  role_id=$(defender_value "appRoles[?value=='$role' && contains(allowedMemberTypes, 'Application')].id | [0]")
  [[ $role_id ]] || fail "WindowsDefenderATP has no application role $role"
  body="{\"principalId\":\"$principal\",\"resourceId\":\"$resource\",\"appRoleId\":\"$role_id\"}"
  if answer=$(az_there rest --method post --url "${graph%/}/v1.0/servicePrincipals/$resource/appRoleAssignedTo" \
    --headers Content-Type=application/json --body "$body" 2>&1); then
    echo "$role: granted to $app"
  elif [[ $answer == *"already exists"* ]]; then
    echo "$role: granted before"
  elif [[ $answer == *Authorization_RequestDenied* ]]; then
    echo "$role: you may not grant it; ask a Privileged Role Administrator to run this" >&2
    exit 77
  elif [[ $answer == *Request_ResourceNotFound* ]]; then
    fail "$role: the app's identity is too new to be known everywhere; run this again in a minute"
  else
    fail "$role: $answer"
  fi
done
