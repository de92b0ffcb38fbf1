#!/usr/bin/env bash
# Stands in for the Azure CLI before deploy/grant-roles.sh, deploy/publish.sh and deploy/onboard-tenant.sh: one app, one
# Defender, one more tenant with a data collection rule, and what was assigned, a line each in $ASSIGNED. $TROUBLE names what is wrong, in words; each is told $TIMES times, without it for ever.
# Which subscription each command is for goes to $SUBSCRIPTIONS.
set -euo pipefail
. "${BASH_SOURCE%/*}/../../fixtures/az/parse.sh"

fail() {
  echo "ERROR: $*" >&2
  exit 1
}

refuse() {
  fail "not what the stand-in for az takes: $*"
}

# True while this is wrong.
trouble() {
  [[ " ${TROUBLE-} " == *" $1 "* ]] || return 1
  [[ ${TIMES-} ]] || return 0
  local told
  told=$(grep -cx "$1" "$ASSIGNED.told" 2>/dev/null) || true
  ((${told:-0} < TIMES)) && echo "$1" >>"$ASSIGNED.told"
}

# The client's form of a refusal of Microsoft Graph: HTTP's reason, and the body.
graph() {
  fail "$1({\"error\":{\"code\":\"$2\",\"message\":\"$3\",\"innerError\":{\"date\":\"2026-11-28T06:00:00\"}}})"
}

# What any call to Graph may get.
busy() {
  trouble throttled && graph "Too Many Requests" TooManyRequests "Too many requests."
  trouble unavailable && graph "Service Unavailable" ServiceUnavailable "The service is unavailable."
  trouble expired && fail "AADSTS700082: The refresh token has expired. Interactive authentication is needed. Please run: az login"
  return 0
}

# A deployment that the site has taken (azure-cli 2.91.0, enable_zip_deploy_flex).
taken() {
  {
    echo "WARNING: Getting scm site credentials for zip deployment"
    echo "WARNING: Starting zip deployment. This operation can take a while to complete ..."
    echo "WARNING: Deployment endpoint responded with status code 202 for deployment id \"d1\""
  } >&2
}

# A deployment whose package did not get into the storage account (Azure/azure-dev#8026, Azure/azure-functions-core-tools#4346).
not_uploaded() {
  taken
  fail "Zip deployment failed. {'id': 'd1', 'status': 3, 'status_text': ''}. These are the deployment logs:
[{\"message\": \"InaccessibleStorageException: Failed to access storage account for deployment: BlobUploadFailedException: \
Failed to upload blob to storage account: Response status code does not indicate success: 403 ($1).\"}]"
}

# What the other tenant answers: about the service principal that a consent makes in it, and about its rule.
in_the_tenant() {
  trouble signed-out && fail "Please run 'az login' to setup account."
  case "$url $query" in
    "https://graph.microsoft.us/v1.0/servicePrincipals(appId='client-1') id")
      trouble no-consent && graph "Not Found" Request_ResourceNotFound "Resource 'client-1' does not exist."
      printf 'principal-2%s\n' "${RETURN-}"
      ;;
    "https://graph.microsoft.us/v1.0/servicePrincipals/principal-2/appRoleAssignments length("*)
      # Somebody who only signs in to the app makes the service principal too, without a role.
      if trouble no-role; then echo 0; else printf '2%s\n' "${RETURN-}"; fi
      ;;
    "$TENANT_RULE?api-version=2023-03-11 properties.immutableId") printf 'dcr-2%s\n' "${RETURN-}" ;;
    "$TENANT_RULE?api-version=2023-03-11 properties.endpoints.logsIngestion")
      trouble no-endpoint || printf 'https://rule-2.ingest.monitor.azure.com%s\n' "${RETURN-}"
      ;;
    *) refuse "$url $query" ;;
  esac
}

parse "$@"
query=${given[--query]-}
url=${given[--uri]-}
if [[ $command != cloud\ * && ${SUBSCRIPTIONS-} ]]; then
  echo "${given[--subscription]-}" >>"$SUBSCRIPTIONS"
fi
if [[ ${WARN-} ]]; then
  echo "WARNING: You have 2 update(s) available. Consider updating your CLI installation with 'az upgrade'" >&2
fi
case "$command ${given[--method]-}" in
  "cloud show ")
    case $query in
      endpoints.activeDirectory) echo https://login.microsoftonline.us ;;
      endpoints.microsoftGraphResourceId) printf 'https://graph.microsoft.us/%s\n' "${RETURN-}" ;;
      *) refuse "$query" ;;
    esac
    ;;
  "functionapp identity show ")
    trouble signed-out && fail "Please run 'az login' to setup account."
    [[ ${given[--resource-group]} == security && ${given[--name]} == forwarder ]] ||
      fail "(ResourceNotFound) The Resource 'Microsoft.Web/sites/${given[--name]}' was not found."
    # Without an identity, and for a while after it was made, it prints nothing.
    trouble no-identity || printf 'principal-1%s\n' "${RETURN-}"
    ;;
  "rest get")
    busy
    if [[ ${given[--subscription]-} == tenant-* ]]; then
      in_the_tenant
      exit
    fi
    trouble no-defender && graph "Not Found" Request_ResourceNotFound "Resource 'fc780465' does not exist."
    case $url in
      "https://graph.microsoft.us/v1.0/servicePrincipals(appId='fc780465-2017-40d4-a0c5-307022471b92')") ;;
      "https://graph.microsoft.us/v1.0/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')")
        case $query in
          id) echo graph-1 ;;
          "appRoles[?value=='SecurityAlert.Read.All' && contains(allowedMemberTypes, 'Application')].id | [0]") echo security-role ;;
          "appRoles[?value=='ThreatHunting.Read.All' && contains(allowedMemberTypes, 'Application')].id | [0]") echo hunting-role ;;
          *) refuse "$query" ;;
        esac
        exit
        ;;
      *) refuse "$url" ;;
    esac
    case $query in
      id) printf 'defender-1%s\n' "${RETURN-}" ;;
      "appRoles[?value=='Alert.Read.All' && contains(allowedMemberTypes, 'Application')].id | [0]") echo alert-role ;;
      "appRoles[?value=='Machine.Read.All' && contains(allowedMemberTypes, 'Application')].id | [0]")
        trouble no-role || echo machine-role
        ;;
      *) refuse "$query" ;;
    esac
    ;;
  "rest post")
    busy
    trouble denied && graph Forbidden Authorization_RequestDenied "Insufficient privileges to complete the operation."
    # microsoftgraph/msgraph-bicep-types#193: either answer, for a principal that one replica does not know yet.
    trouble no-reference && graph "Bad Request" Request_BadRequest "Not a valid reference update."
    trouble no-principal && graph "Not Found" Request_ResourceNotFound "Resource 'principal-1' does not exist."
    trouble wrong && graph "Bad Request" Request_BadRequest "Invalid GUID."
    [[ $url =~ ^https://graph.microsoft.us/v1.0/servicePrincipals/(defender|graph)-1/appRoleAssignedTo$ ]] || refuse "$url"
    body=${given[--body]}
    if grep -qxF "$body" "$ASSIGNED"; then
      graph "Bad Request" Request_BadRequest "Permission being assigned already exists on the object"
    fi
    echo "$body" >>"$ASSIGNED"
    # The answer is lost, the role is granted.
    trouble lost && graph "Gateway Timeout" UnknownError ""
    echo '{"principalDisplayName": "forwarder"}'
    ;;
  "role assignment create ")
    trouble no-principal && fail "(PrincipalNotFound) Principal principal-2 does not exist in the directory tenant-1."
    trouble denied && fail "(AuthorizationFailed) The client does not have authorization to perform action 'Microsoft.Authorization/roleAssignments/write'"
    [[ ${given[--assignee-principal-type]} == ServicePrincipal && ${given[--subscription]} == tenant-* ]] || refuse "az $*"
    line="${given[--role]} ${given[--scope]} ${given[--assignee-object-id]}"
    if grep -qxF "$line" "$ASSIGNED"; then
      fail "(RoleAssignmentExists) The role assignment already exists."
    fi
    echo "$line" >>"$ASSIGNED"
    echo assignment-1
    ;;
  "functionapp deployment source config-zip ")
    [[ -s ${given[--src]} ]] || refuse "no file ${given[--src]}"
    trouble signed-out && fail "Please run 'az login' to setup account."
    trouble no-storage-role && not_uploaded "This request is not authorized to perform this operation using this permission."
    trouble firewall && not_uploaded "This request is not authorized to perform this operation."
    # Azure/functions-action#390
    trouble no-site && fail "An error occured during deployment. Status Code: 503, Details: Site Unavailable"
    trouble ongoing && fail "There may be an ongoing deployment. Please track your deployment in https://forwarder.scm.azurewebsites.net/api/deployments/latest"
    trouble classic && fail "Could not find a 'AzureWebJobsStorage' application setting"
    taken
    # check_flex_app_after_deployment, while the host of the app cannot read its storage yet.
    trouble no-host-key && fail "Failed to fetch host key to check for function app status"
    trouble unhealthy && fail "Deployment was successful but the app appears to be unhealthy. Please check the app logs."
    echo "${given[--src]}" >>"$ASSIGNED.published"
    echo '"Deployment was successful."'
    ;;
  *) refuse "az $*" ;;
esac
