#!/usr/bin/env bash
# A hook of azd that makes the package, with MDATP_TENANTS=true in its environment the one for many tenants.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ ${MDATP_TENANTS-} == true ]]; then
  exec deploy/package.sh --tenants
fi
exec deploy/package.sh
