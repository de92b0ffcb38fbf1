#!/usr/bin/env bash
# Brings the package into a Function App on the plan Flex Consumption, also right after its deployment: as long as the
# roles of the app's identity do not work yet, it waits and deploys again.
#
#   deploy/publish.sh RESOURCE_GROUP APP [PACKAGE]
#
# PACKAGE is dist/mdatp-forward.zip unless given: made by deploy/package.sh, or taken from the release.
# Needs the Azure CLI, signed in as somebody who may deploy to the app (Contributor).
set -euo pipefail

if (($# < 2 || $# > 3)); then
  echo "usage: $0 RESOURCE_GROUP APP [PACKAGE]" >&2
  exit 64
fi
group=$1
app=$2
package=${3-${BASH_SOURCE%/*}/../dist/mdatp-forward.zip}
# Azure says that a role assignment takes up to ten minutes to work (learn.microsoft.com, "Troubleshoot Azure RBAC").
timeout=600
pause=30

fail() {
  echo "$*" >&2
  exit 1
}

command -v az >/dev/null || fail "the Azure CLI is not installed: https://aka.ms/install-azure-cli"
[[ -s $package ]] || fail "$package is not there: make it with deploy/package.sh, or take it from the release"

waited=0
while true; do
  if output=$(az functionapp deployment source config-zip --resource-group "$group" --name "$app" --src "$package" \
    --output none 2>&1); then
    echo "$app has the package and runs it"
    exit
  fi
  case $output in
    # The app's storage is closed to it by rule, which no waiting changes (a missing role says "using this permission").
    *"not authorized to perform this operation.)"*)
      fail "the network rules of the app's storage account keep the package out: let Azure services and the app's subnet in: $output"
      ;;
    *"AzureWebJobsStorage' application setting"*)
      fail "$app is on the classic Consumption plan, which takes its package from the storage account: see docs/deploy.md#classic-consumption: $output"
      ;;
    # The package did not get into the storage account (github.com/Azure/azure-dev/issues/8026).
    *InaccessibleStorageException*) reason="its identity may not write the package yet" ;;
    # The package is there, and the host cannot start: both answers come after a deployment that succeeded.
    *"Failed to fetch host key"* | *"appears to be unhealthy"*) reason="its identity may not read its storage yet" ;;
    *"ongoing deployment"* | *"another deployment is in progress"*) reason="another deployment is under way" ;;
    *"Failed to retrieve deployment status"* | *"Status Code: 429"* | *"Status Code: 50"[0234]*)
      reason="its deployment service is not ready yet"
      ;;
    *) fail "$app does not take the package: $output" ;;
  esac
  ((waited < timeout)) || fail "$app still does not take the package after ten minutes: $reason: $output"
  echo "$app: $reason; deploying again in $pause seconds" >&2
  sleep "$pause"
  waited=$((waited + pause))
done
