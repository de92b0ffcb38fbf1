#!/usr/bin/env bash
# A hook of azd, which sets the outputs of the deployment in the environment: grants the roles in Defender. If the user may not
# grant them, the hook prints the command for an administrator, and the deployment continues.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ ${MDATP_TENANTS-} == true ]]; then
  echo "Each tenant's app registration reads its Defender: docs/tenants.md#add-a-tenant has the remaining steps."
  exit
fi
if [[ ${MDATP_CLIENT_ID-} ]]; then
  echo "The app registration $MDATP_CLIENT_ID reads Defender: docs/deploy.md#another-tenants-defender has its remaining steps."
  exit
fi

grant=(deploy/grant-roles.sh "$AZURE_RESOURCE_GROUP" "$AZURE_FUNCTION_APP_NAME" "$AZURE_SUBSCRIPTION_ID")
status=0
"${grant[@]}" || status=$?
# The signed-in user may not grant the roles.
if ((status == 77)); then
  echo "The deployment continues, but the app cannot read alerts until an administrator has run: ${grant[*]}" >&2
  exit
fi
exit "$status"
