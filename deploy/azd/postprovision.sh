#!/usr/bin/env bash
# A hook of azd, with what azd provisioned in the environment: grants the roles in Defender. Whoever deploys may lack the
# role in the directory for that; then it says who has to, and the deployment goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ ${MDATP_CLIENT_ID-} ]]; then
  echo "The app registration $MDATP_CLIENT_ID reads Defender: docs/deploy.md#another-tenants-defender has its remaining steps."
  exit
fi

grant=(deploy/grant-roles.sh "$AZURE_RESOURCE_GROUP" "$AZURE_FUNCTION_APP_NAME" "$AZURE_SUBSCRIPTION_ID")
status=0
"${grant[@]}" || status=$?
# Whoever is signed in may not.
if ((status == 77)); then
  echo "The deployment goes on, and the app reads no alert until this is done: ${grant[*]}" >&2
  exit
fi
exit "$status"
