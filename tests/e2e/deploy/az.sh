#!/usr/bin/env bash
# Stands in for the Azure CLI before deploy/grant-roles.sh: one app, one Defender, and what was assigned, a line
# each in $ASSIGNED. $TROUBLE says what is wrong. Which subscription each command is for goes to $SUBSCRIPTIONS.
set -euo pipefail

# The value after an option.
option() {
  local name=$1
  shift
  while (($#)); do
    [[ $1 == "$name" ]] && { echo "$2"; return; }
    shift
  done
}

refuse() {
  echo "ERROR: $*" >&2
  exit 1
}

query=$(option --query "$@")
url=$(option --url "$@")
subscription=$(option --subscription "$@")
if [[ $1 == cloud ]]; then
  [[ -z $subscription ]] || refuse "unrecognized arguments: --subscription"
elif [[ ${SUBSCRIPTIONS-} ]]; then
  echo "$subscription" >>"$SUBSCRIPTIONS"
fi
case "$1 $2 $3" in
  "cloud show --query") echo https://graph.microsoft.us/ ;;
  "functionapp identity show")
    [[ $(option --resource-group "$@") == security && $(option --name "$@") == forwarder ]] || refuse ResourceNotFound
    [[ ${TROUBLE-} == no-identity ]] || echo principal-1
    ;;
  "rest --method get")
    [[ ${TROUBLE-} == no-defender ]] && refuse "Not Found({\"error\":{\"code\":\"Request_ResourceNotFound\"}})"
    [[ $url == "https://graph.microsoft.us/v1.0/servicePrincipals(appId='fc780465-2017-40d4-a0c5-307022471b92')" ]] || refuse "$url"
    case $query in
      id) echo defender-1 ;;
      "appRoles[?value=='Alert.Read.All' && contains(allowedMemberTypes, 'Application')].id | [0]") echo alert-role ;;
      "appRoles[?value=='Machine.Read.All' && contains(allowedMemberTypes, 'Application')].id | [0]")
        [[ ${TROUBLE-} == no-role ]] || echo machine-role
        ;;
      *) refuse "$query" ;;
    esac
    ;;
  "rest --method post")
    [[ ${TROUBLE-} == denied ]] && refuse "Forbidden({\"error\":{\"code\":\"Authorization_RequestDenied\"}})"
    [[ ${TROUBLE-} == new ]] && refuse "Not Found({\"error\":{\"code\":\"Request_ResourceNotFound\"}})"
    [[ ${TROUBLE-} == other ]] && refuse "Service Unavailable"
    [[ $url == https://graph.microsoft.us/v1.0/servicePrincipals/defender-1/appRoleAssignedTo ]] || refuse "$url"
    body=$(option --body "$@")
    if grep -qxF "$body" "$ASSIGNED"; then
      refuse "Bad Request({\"error\":{\"message\":\"Permission being assigned already exists on the object\"}})"
    fi
    echo "$body" >>"$ASSIGNED"
    ;;
  *) refuse "az $*" ;;
esac
