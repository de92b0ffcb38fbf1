#!/usr/bin/env bash
# A hook of azd that stops azd down, which would delete the resource group and the workspace in it.
set -euo pipefail

echo "azd down would delete the resource group $AZURE_RESOURCE_GROUP, the Log Analytics workspace included." >&2
echo "Fix: in the Azure portal, delete the app ${AZURE_FUNCTION_APP_NAME-} and what carries its name." >&2
exit 1
