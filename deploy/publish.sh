#!/usr/bin/env bash
# Deploys the package to a Function App on the Flex Consumption plan, also right after the app was created: while the roles
# of the app's identity do not work yet, it waits and deploys again.
#
#   deploy/publish.sh RESOURCE_GROUP APP [PACKAGE]
#
# PACKAGE defaults to dist/mdatp-forward.zip, which deploy/package.sh makes or a release has. Needs the Azure CLI, signed in
# as a user who may deploy to the app (Contributor).
set -euo pipefail

if (($# < 2 || $# > 3)); then
  echo "usage: $0 RESOURCE_GROUP APP [PACKAGE]" >&2
  exit 64
fi
group=$1
app=$2
package=${3-${BASH_SOURCE%/*}/../dist/mdatp-forward.zip}
# A role assignment takes up to ten minutes to work (documentation page "Troubleshoot Azure RBAC").
timeout=600
pause=30

fail() {
  echo "$*" >&2
  exit 1
}

command -v az >/dev/null || fail "the Azure CLI is not installed: https://aka.ms/install-azure-cli"
[[ -s $package ]] || fail "there is no package $package. Fix: make it with deploy/package.sh, or take it from the release"

waited=0
while true; do
  if answer=$(az functionapp deployment source config-zip --resource-group "$group" --name "$app" --src "$package" \
    --output none 2>&1); then
    echo "$app has the package and runs it"
    exit
  fi
  case $answer in
    # Network rules block the app's storage, which waiting does not change (a missing role says "using this permission").
    *"not authorized to perform this operation.)"*)
      fail "the network rules of the app's storage account block the package: $answer. Fix: allow Azure services and the app's subnet"
      ;;
    *"AzureWebJobsStorage' application setting"*)
      fail "$app is on the classic Consumption plan, which loads its package from the storage account: $answer. Fix: see docs/deploy.md#classic-consumption"
      ;;
    # The package was not written to the storage account (github.com/Azure/azure-dev/issues/8026).
    *InaccessibleStorageException*) reason="its identity may not write the package yet" ;;
    # The package is in place, but the host cannot start. Both errors follow a successful deployment.
    *"Failed to fetch host key"* | *"appears to be unhealthy"*) reason="its identity may not read its storage yet" ;;
    *"ongoing deployment"* | *"another deployment is in progress"*) reason="another deployment is in progress" ;;
    *"Failed to retrieve deployment status"* | *"Status Code: 429"* | *"Status Code: 50"[0234]*)
      reason="its deployment service is not ready yet"
      ;;
    *) fail "$app rejects the package: $answer" ;;
  esac
  ((waited < timeout)) || fail "$app still rejects the package after ten minutes: $reason: $answer"
  echo "$app: $reason; deploying again in $pause seconds" >&2
  sleep "$pause"
  waited=$((waited + pause))
done
