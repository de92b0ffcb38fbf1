#!/usr/bin/env bash
# Adds the ASIM parsers that the template has saved in a workspace to what Microsoft Sentinel's unifying parsers
# _Im_AlertEvent and _ASim_AlertEvent read. Those call the workspace's functions Im_AlertEventCustom and
# ASim_AlertEventCustom, one of each a workspace, shared by all who add parsers. So they are only made where they are
# absent, and one that is there is never changed: what to add to it is printed.
#
#   deploy/asim-hook.sh RESOURCE_GROUP WORKSPACE
#
# Needs the Azure CLI, signed in as somebody who may save functions there (Log Analytics Contributor). The exit code
# is 0 when both call the parsers, 1 when something is left to do.
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
  fail "the workspace $workspace was not read: sign in with az login, and check the names of the group and the workspace"

# One property of the saved function that is called so, under whatever name it is saved; nothing if there is none.
# The portal saves functions under names of its own.
function_property() {
  az rest --method get --url "$id/savedSearches?api-version=$version" \
    --query "value[?properties.functionAlias=='$1'].properties.$2 | [0]" --output tsv
}

# The call of a parser that hands on whatever parameters it has, as the documentation page "Manage ASIM parsers" has it.
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

# Sees to it that the function HOOK with these PARAMETERS calls a PARSER.
hook() {
  local hook=$1 parameters=$2 call=$3 parser=${3%%(*} query body answer
  query=$(function_property "$hook" query) || fail "the functions of $workspace were not read"
  if [[ $query == *"$parser"* ]]; then
    echo "$hook: calls $parser already"
    return
  fi
  if [[ -z $query ]]; then
    # Without an etag the service makes it or refuses, should somebody else have made it meanwhile.
    body="{\"properties\":{\"category\":\"ASIM\",\"displayName\":\"ASIM: parsers of this workspace for AlertEvent\",\"functionAlias\":\"$hook\",\"functionParameters\":\"$parameters\",\"query\":\"union isfuzzy=true\\n$call\\n\",\"version\":2}}"
    if answer=$(az rest --method put --url "$id/savedSearches/$hook?api-version=$version" \
      --headers Content-Type=application/json --body "$body" 2>&1); then
      echo "$hook: made, calls $parser"
      return
    fi
    [[ $answer == *Conflict* || $answer == *409* ]] || fail "$hook was not made: $answer"
  fi
  left=1
  cat >&2 <<EOF
$hook is there already and stays as it is. Edit it (in the portal: Logs, Functions, $hook), and add at its end, behind
a comma after the line before:

$call

EOF
}

filtering=vimAlertEventMdatpForward
parameterless=ASimAlertEventMdatpForward
filters=$(function_property "$filtering" functionParameters) || fail "the functions of $workspace were not read"
switches=$(function_property "$parameterless" functionParameters) || fail "the functions of $workspace were not read"
[[ $filters && $switches ]] ||
  fail "$workspace does not have $filtering and $parameterless: deploy deploy/azuredeploy.json with asim=on first"

hook Im_AlertEventCustom "${filters/,disabled:bool=false/}" "$(call "$filtering" "$filters")"
hook ASim_AlertEventCustom "$switches" "$(call "$parameterless" "$switches")"
exit "$left"
