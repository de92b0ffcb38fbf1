#!/usr/bin/env bash
# Adds a tenant to an app that forwards the alerts of many: prints the address at which an administrator of the tenant
# consents, waits for the consent, lets the app send to the data collection rule, adds the tenant to the list, and waits for its
# first run. See docs/tenants.md#add-a-tenant.
#
#   deploy/onboard-tenant.sh CLIENT_ID TENANT_ID NAME [RULE_ID | SUBSCRIPTION]
#
# CLIENT_ID is the app registration that reads the tenant's Defender. RULE_ID is the resource id of a data collection rule in the
# tenant, to which the app registration sends; without it, the app's own identity sends to the rule of MDATP_DCR_ID and
# MDATP_INGESTION_ENDPOINT. SUBSCRIPTION is any other subscription of the tenant, if the Azure CLI knows one.
#
# Needs mdatp-forward on the PATH with the settings of docs/tenants.md#set-up-a-shell, and the Azure CLI, signed in to the tenant
# too (az login --tenant TENANT_ID --allow-no-subscriptions) as a user who may read its service principals and, with RULE_ID,
# assign roles on the rule. You may run it again. Exit codes: 0 the first run has succeeded, 75 nobody has consented yet, 1 any
# other failure.
set -euo pipefail

if (($# < 3 || $# > 4)); then
  echo "usage: $0 CLIENT_ID TENANT_ID NAME [RULE_ID | SUBSCRIPTION]" >&2
  exit 64
fi
client=$1
tenant=$2
name=$3
# The Azure CLI lists a tenant without subscriptions as an account with the tenant's id.
subscription=${4-$tenant}
rule=""
if [[ $subscription == /* ]]; then
  rule=$subscription
  [[ $rule =~ ^/subscriptions/([^/]+)/resourceGroups/[^/]+/providers/Microsoft\.Insights/dataCollectionRules/[^/]+$ ]] || {
    echo "$rule is not the resource id of a data collection rule" >&2
    exit 64
  }
  subscription=${BASH_REMATCH[1]}
fi
# Defender's application roles Alert.Read.All and Machine.Read.All, the same in every tenant (deploy/app-registration.json).
roles="appRoleId=='71fe6b80-7034-4028-9ed8-0f316df9c3ff' || appRoleId=='ea8291d3-4b9a-44b5-bc3a-6cea3026dc79'"
# The seconds to wait for the administrator and for the directory, and between two tries.
timeout=1800
pause=15

fail() {
  echo "$*" >&2
  exit 1
}

for program in mdatp-forward az; do
  command -v "$program" >/dev/null || fail "$program is not on the PATH. Fix: see docs/tenants.md#set-up-a-shell"
done
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

# Runs an az command in the tenant, and sets $answer to its output and $problem to its errors. Tries again while the output does
# not match $wanted, or the error matches $transient_errors. $waits_for describes what is missing.
ask() {
  local waited=0 transient="${transient_errors:+$transient_errors|}Too Many Requests|TooManyRequests|Service Unavailable|Bad Gateway|Gateway Time-?out"
  while true; do
    problem=""
    if answer=$(az "$@" --subscription "$subscription" --only-show-errors 2>"$errors"); then
      # On Windows the Azure CLI ends lines with a carriage return.
      answer=${answer%$'\r'}
      [[ ! $answer =~ $wanted ]] || return 0
    else
      problem=$(<"$errors")
      [[ $problem =~ $transient ]] || return 1
    fi
    ((waited < timeout)) || return 75
    ((waited)) || echo "$waits_for; trying again for up to $((timeout / 60)) minutes" >&2
    sleep "$pause"
    waited=$((waited + pause))
  done
}

# Reads a value of the rule. One that is not there is no reason to wait.
ask_rule() {
  waits_for="the service is busy"
  transient_errors=""
  wanted=""
  ask rest --method get --url "$rule?api-version=2023-03-11" --query "properties.$1" --output tsv ||
    fail "cannot read the rule: $problem. Fix: sign in with az login --tenant $tenant, and check the rule's resource id"
}

sink=(--token-from home)
if [[ $rule ]]; then
  ask_rule endpoints.logsIngestion
  endpoint=$answer
  [[ $endpoint ]] || fail "the rule has no endpoint of its own. Fix: make it as mdatp-forward schema --format dcr prints it"
  ask_rule immutableId
  sink=(--token-from tenant --dcr "$answer" --endpoint "$endpoint")
fi

endpoint_of() {
  local found
  found=$(az cloud show --query "endpoints.$1" --output tsv --only-show-errors)
  found=${found%$'\r'}
  echo "${found%/}"
}
login=$(endpoint_of activeDirectory)
graph=$(endpoint_of microsoftGraphResourceId)/v1.0/servicePrincipals

echo "An administrator of $name (Privileged Role Administrator) opens this address and accepts:"
echo "  $login/$tenant/adminconsent?client_id=$client"

waits_for="nobody has consented yet"
transient_errors="Request_ResourceNotFound"
wanted=.
status=0
ask rest --method get --url "$graph(appId='$client')" --query id --output tsv || status=$?
if ((status == 0)); then
  principal=$answer
  waits_for="the consent does not have Alert.Read.All and Machine.Read.All yet (if it should not: deploy/app-registration.json)"
  wanted='^2$'
  ask rest --method get --url "$graph/$principal/appRoleAssignments" --query "length(value[?$roles])" --output tsv || status=$?
fi
if ((status == 75)); then
  echo "${waits_for% yet*} after $((timeout / 60)) minutes. Fix: run this script again when an administrator has accepted" >&2
  exit 75
fi
((status == 0)) ||
  fail "cannot read the service principals of $tenant: $problem. Fix: az login --tenant $tenant --allow-no-subscriptions"
echo "$name has consented"

if [[ $rule ]]; then
  waits_for="the app registration is not in every replica of the directory yet"
  transient_errors="PrincipalNotFound"
  wanted=.
  if ask role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal \
    --role 3913510d-42f4-4e42-8a64-420c390055eb --scope "$rule" --query id --output tsv; then
    echo "Monitoring Metrics Publisher: granted on the rule"
  elif [[ $problem == *RoleAssignmentExists* ]]; then
    echo "Monitoring Metrics Publisher: already granted on the rule"
  else
    fail "Monitoring Metrics Publisher is not granted on the rule: $problem. Fix: ask an Owner of the rule's resource group to run this script"
  fi
fi

mdatp-forward tenants add "$tenant" --name "$name" --client-id "$client" "${sink[@]}"
mdatp-forward tenants check "$tenant" --wait 30m
