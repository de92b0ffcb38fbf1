#!/usr/bin/env bash
# Adds the ASIM parsers that the template has saved in a workspace to Microsoft Sentinel's unifying parsers _Im_AlertEvent and
# _ASim_AlertEvent. Those call the workspace's functions Im_AlertEventCustom and ASim_AlertEventCustom. A workspace has one of
# each, shared by all parsers of the workspace, so this script creates a missing one, and never changes an existing one: it
# prints what to add.
#
#   deploy/asim-hook.sh RESOURCE_GROUP WORKSPACE
#
# Needs the Azure CLI, signed in as a user who may save functions in the workspace (Log Analytics Contributor). The exit code
# is 0 if both functions call the parsers, and 1 if something is left to do.
set -euo pipefail

if (($# != 2)); then
  echo "usage: $0 RESOURCE_GROUP WORKSPACE" >&2
  exit 64
fi
group=$1
workspace=$2
version=2023-09-01

fail() {
  echo "$*" >&2
  exit 1
}

command -v az >/dev/null || fail "the Azure CLI is not installed: https://aka.ms/install-azure-cli"

id=$(az monitor log-analytics workspace show --resource-group "$group" --workspace-name "$workspace" \
  --query id --output tsv) ||
  fail "cannot read the workspace $workspace. Fix: sign in with az login, and check the names of the group and the workspace"

# Prints a property of the saved function with this alias, or nothing if there is none. The name under which it is saved does
# not matter: the portal generates one.
function_property() {
  az rest --method get --url "$id/savedSearches?api-version=$version" \
    --query "value[?properties.functionAlias=='$1'].properties.$2 | [0]" --output tsv
}

# Prints the call of a parser with all its parameters, as on the documentation page "Manage ASIM parsers".
call() {
  local parser=$1 parameter name
  local -a given=() all
  IFS=, read -ra all <<<"$2"
  for parameter in "${all[@]}"; do
    name=${parameter%%:*}
    if [[ $name == disabled ]]; then given+=(disabled=false); else given+=("$name=$name"); fi
  done
  local IFS=,
  echo "$parser(${given[*]})"
}

left=0

# Makes the function HOOK with these PARAMETERS call a parser.
hook() {
  local hook=$1 parameters=$2 call=$3 parser=${3%%(*} query body answer
  query=$(function_property "$hook" query) || fail "cannot read the functions of $workspace"
  if [[ $query == *"$parser"* ]]; then
    echo "$hook: already calls $parser"
    return
  fi
  if [[ -z $query ]]; then
    # Without an etag the service rejects the request if the function has been created in the meantime.
    body="{\"properties\":{\"category\":\"ASIM\",\"displayName\":\"ASIM: parsers of this workspace for AlertEvent\",\"functionAlias\":\"$hook\",\"functionParameters\":\"$parameters\",\"query\":\"union isfuzzy=true\\n$call\\n\",\"version\":2}}"
    if answer=$(az rest --method put --url "$id/savedSearches/$hook?api-version=$version" \
      --headers Content-Type=application/json --body "$body" 2>&1); then
      echo "$hook: created, calls $parser"
      return
    fi
    [[ $answer == *Conflict* || $answer == *409* ]] || fail "cannot create $hook: $answer"
  fi
  left=1
  cat >&2 <<EOF
$hook exists already and is not changed. Fix: edit it (in the portal: Logs, Functions, $hook), and add at its end, after a
comma on the previous line:

$call

EOF
}

filtering=vimAlertEventMdatpForward
parameterless=ASimAlertEventMdatpForward
filters=$(function_property "$filtering" functionParameters) || fail "cannot read the functions of $workspace"
switches=$(function_property "$parameterless" functionParameters) || fail "cannot read the functions of $workspace"
[[ $filters && $switches ]] ||
  fail "$workspace does not have $filtering and $parameterless. Fix: deploy deploy/azuredeploy.json with asim=on first"

hook Im_AlertEventCustom "${filters/,disabled:bool=false/}" "$(call "$filtering" "$filters")"
hook ASim_AlertEventCustom "$switches" "$(call "$parameterless" "$switches")"
exit "$left"
