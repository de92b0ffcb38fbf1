// The template of azd: azuredeploy.json in the region of the workspace, with the tag by which azd finds the app.
targetScope = 'resourceGroup'

@description('The Log Analytics workspace for the alerts. It must exist in this resource group.')
param workspaceName string

@description('The region of the Function App and its resources. Set it if the workspace\'s region has no Flex Consumption.')
param appLocation string = ''

@description('When to forward, as NCRONTAB in UTC.')
param schedule string = '0 */5 * * * *'

@description('Where the first run begins: an RFC 3339 time, or a duration before that run.')
param start string = '24h'

@description('on: each run sends a row about itself to the table MDATPAlertsHealth_CL.')
@allowed([
  'on'
  'off'
])
param health string = 'off'

@description('Defender\'s tenant. Set it only if an app registration reads Defender instead of the app\'s own identity.')
param tenantId string = ''

@description('With tenantId: the app registration\'s application (client) id.')
param clientId string = ''

@description('true: the app forwards the alerts of many tenants.')
@allowed([
  'true'
  'false'
])
param tenants string = 'false'

@description('The resource id of the action group that the alert rules notify.')
param actionGroupId string = ''

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: workspaceName
}

module forwarder '../azuredeploy.json' = {
  name: 'mdatp-forward'
  params: {
    workspaceName: workspaceName
    location: workspace.location
    appLocation: empty(appLocation) ? workspace.location : appLocation
    schedule: schedule
    start: start
    health: health
    tenantId: tenantId
    clientId: clientId
    tenants: tenants == 'true'
    actionGroupId: actionGroupId
    tags: {
      'azd-service-name': 'mdatp-forward'
    }
  }
}

// azd sets this in the environment of the hooks in azure.yaml.
output AZURE_FUNCTION_APP_NAME string = forwarder.outputs.appName
