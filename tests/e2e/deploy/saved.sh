#!/usr/bin/env bash
# Stands in for the Azure CLI before deploy/asim-hook.sh: a workspace with its saved functions, a folder for each in
# $SAVED, which holds a file for each of its properties. $TROUBLE says what is wrong.
set -euo pipefail

refuse() {
  echo "ERROR: $*" >&2
  exit 1
}

. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../fixtures/az/parse.sh"

# A member of the JSON in $body that is text without quotes in it.
member() {
  [[ $body =~ \"$1\":\"([^\"]*)\" ]] || refuse "Bad Request(no $1 in $body)"
  printf '%b' "${BASH_REMATCH[1]}"
}

workspace=${WORKSPACE_RESOURCE:-/subscriptions/s/resourceGroups/security/providers/Microsoft.OperationalInsights/workspaces/sentinel}
parse "$@"
url=${given[--uri]-}
case "$command ${given[--method]-}" in
  "monitor log-analytics workspace show ")
    [[ ${given[--resource-group]} == security && ${given[--name]} == sentinel ]] || refuse ResourceNotFound
    echo "$workspace"
    ;;
  "rest get")
    [[ $url == "$workspace/savedSearches?api-version=2023-09-01" ]] || refuse "$url"
    [[ ${TROUBLE-} == unreadable ]] && refuse "Forbidden({\"error\":{\"code\":\"AuthorizationFailed\"}})"
    query=${given[--query]}
    [[ $query =~ ^value\[\?properties\.functionAlias==\'([A-Za-z_]+)\'\]\.properties\.(query|functionParameters)' | [0]'$ ]] || refuse "$query"
    alias=${BASH_REMATCH[1]} property=${BASH_REMATCH[2]}
    # Somebody makes it between the look and the making.
    [[ ${TROUBLE-} == race && $alias == Im_AlertEventCustom ]] && exit
    if [[ -d $SAVED/$alias ]]; then cat "$SAVED/$alias/$property"; fi
    ;;
  "rest put")
    body=${given[--body]}
    [[ $url =~ ^"$workspace/savedSearches/"([A-Za-z_]+)"?api-version=2023-09-01"$ ]] || refuse "$url"
    name=${BASH_REMATCH[1]}
    [[ ${TROUBLE-} == denied ]] && refuse "Forbidden({\"error\":{\"code\":\"AuthorizationFailed\"}})"
    # Without an etag, what is there is not saved over.
    [[ -d $SAVED/$name ]] && refuse "Conflict({\"error\":{\"code\":\"Conflict\"}})"
    [[ $(member functionAlias) == "$name" && $(member category) && $(member displayName) ]] || refuse "Bad Request($body)"
    mkdir "$SAVED/$name"
    member query >"$SAVED/$name/query"
    member functionParameters >"$SAVED/$name/functionParameters"
    ;;
  *) refuse "az $*" ;;
esac
