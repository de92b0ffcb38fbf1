//! The migration of a table from the Data Collector API to the Logs Ingestion API, step by step and with its columns
//! kept (documentation page "Migrate from the HTTP Data Collector API to the Logs Ingestion API"). Pure.

use std::fmt::Write;

use super::{
    ColumnType, ID, MACHINE_ID, Shape,
    check::{Difference, SchemaDocument},
    column_name, columns, extras,
    rule::API_VERSION,
    table::{DeclaredColumn, Table, stream},
};

/// Returns the steps of the migration as text. `log_name` is the table's name without `_CL`. Bash and zsh run every
/// command as it is printed, once the words in capitals are replaced.
///
/// # Errors
///
/// Why the table cannot accept what is sent, even after the migration.
pub fn plan(log_name: &str, table: &Table) -> Result<String, Vec<Difference>> {
    let name = super::table::name(log_name);
    let differences = SchemaDocument::Table(table.clone()).compare(Shape::Classic, "", None);
    let (mut missing, mut notes, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for difference in differences {
        match difference {
            Difference::Missing(name, kind) => missing.push((name, kind)),
            Difference::Basic => notes.push(difference),
            _ if difference.is_failure() => failures.push(difference),
            _ => {}
        }
    }
    if !failures.is_empty() {
        return Err(failures);
    }
    // A table without a sub-type is treated as an old one.
    let is_classic = table.is_classic() || table.schema.table_sub_type.is_none();
    let mut steps = NumberedSteps::default();
    let of_table = format!("--resource-group GROUP --workspace-name WORKSPACE --name {name}");
    let show = format!("az monitor log-analytics workspace table show {of_table} > table.json");
    let wait = format!("az monitor log-analytics workspace table wait {of_table} --updated");
    let make =
        "mdatp-forward schema --shape classic --format dcr --table table.json --location REGION --workspace \
                WORKSPACE_RESOURCE_ID > dcr.json"
            .to_owned();
    let compare = "mdatp-forward schema --shape classic --check dcr.json --table table.json".to_owned();
    if is_classic {
        steps.add(
            "Make the data collection rule from the table, and compare the two: the table's columns with _g are guid, to \
             which the rule must convert strings, or the service rejects it. Continue only when the last command says that \
             the rule takes all that is sent.",
            &[show.clone(), make.clone(), compare.clone()],
        );
        steps.add(
            "Migrate the table to data collection rules. This cannot be undone. Its columns and rows stay, and the Data \
             Collector API continues to fill the existing columns.",
            &[
                format!(
                    "az monitor log-analytics workspace table migrate --resource-group GROUP \
                     --workspace-name WORKSPACE --table-name {name}"
                ),
                wait.clone(),
            ],
        );
    }
    if !missing.is_empty() {
        steps.add(
            &format!(
                "Add the {} columns it does not have yet. From then on the Data Collector API can no longer write to this \
                 table: stop the app first, and start it again after the last step. Alerts of the time between are sent \
                 then.",
                missing.len()
            ),
            &[
                "az functionapp stop --resource-group GROUP --name APP".to_owned(),
                format!(
                    "az monitor log-analytics workspace table update {of_table} --columns {}",
                    all_columns(table, &missing)
                ),
                wait,
            ],
        );
    }
    if !is_classic {
        steps.add(
            "Make the data collection rule from the table, and compare the two.",
            &[show.clone(), make, compare.clone()],
        );
    }
    steps.switch_over(log_name);
    steps.add(
        "Compare the table and the rule with what is sent.",
        &[show, "mdatp-forward schema --shape classic --check table.json".to_owned(), compare],
    );

    let mut text = format!("Migration of {name}, which has {} columns of its own", table.columns().len());
    text.push_str(if is_classic { ".\n\n" } else { " and is migrated already.\n\n" });
    for note in notes {
        let _ = writeln!(text, "{note}\n");
    }
    text.push_str(&steps.text);
    text.push_str(&unfilled(table));
    text.push_str(
        "\nThe Data Collector API put any string that looks like a GUID into a column with _g. mdatp-forward fills such \
         columns only for members that are GUIDs: aadTenantId, detectorId, aadDeviceId, vmId and subscriptionId.\n",
    );
    let [id, machine_id] = [ID, MACHINE_ID].map(|member| column_name(Shape::Classic, member));
    let _ = writeln!(
        text,
        "\n{id} holds the alert's id in every row that mdatp-forward sends. A Logic App that merged with \
         union(alert, machine) wrote the machine's id there, since the machine's member overwrote the alert's: \
         in such rows the alert's id is lost. Queries that take {id} for the machine must use {machine_id}, which \
         holds the machine's id in both."
    );
    Ok(text)
}

/// Returns all columns of the table and those it lacks, as `az` accepts them. An update replaces the list of columns,
/// so the existing ones must be named too.
fn all_columns(table: &Table, missing: &[(&str, ColumnType)]) -> String {
    let known = table.columns().iter().map(|known| (&*known.name, known.kind.to_ascii_lowercase()));
    let missing = missing.iter().map(|(name, kind)| (*name, kind.name().to_owned()));
    known.chain(missing).map(|(name, kind)| format!("{name}={kind}")).collect::<Vec<_>>().join(" ")
}

/// Returns which of the table's own columns will no longer be filled.
fn unfilled(table: &Table) -> String {
    let mut text = String::new();
    let is_filled =
        |known: &&DeclaredColumn| columns(Shape::Classic).iter().any(|column| column.name == known.name);
    let unfilled: Vec<_> = table.columns().iter().filter(|known| !is_filled(known)).collect();
    // Writing to a String cannot fail.
    let _ = match unfilled.is_empty() {
        true => writeln!(text, "Every existing column continues to be filled."),
        false => {
            writeln!(text, "These existing columns will no longer be filled; the rows they have keep them:")
        }
    };
    for known in unfilled {
        let _ = match instead(&known.name) {
            Some(column) => writeln!(text, "   {}; such values are in {column}", known.name),
            None => writeln!(
                text,
                "   {}; such values are in {}",
                known.name,
                extras(Shape::Classic).unwrap_or_default()
            ),
        };
    }
    text
}

/// Returns the column of the classic shape that has the values of this column now: one of the same member.
fn instead(name: &str) -> Option<&'static str> {
    let (path, _) = name.rsplit_once('_')?;
    let same = |column: &&super::Column| column.name.rsplit_once('_').is_some_and(|(known, _)| known == path);
    columns(Shape::Classic).iter().find(same).map(|column| column.name.as_ref())
}

#[derive(Default)]
struct NumberedSteps {
    count: usize,
    text: String,
}

impl NumberedSteps {
    /// Adds the steps from the new rule to the app that sends to it.
    fn switch_over(&mut self, log_name: &str) {
        self.add(
            "Deploy the data collection rule, in the region of the workspace. Keep immutableId and \
             endpoints.logsIngestion of what it prints.",
            &[format!(
                "az rest --method put --body @dcr.json --url \"https://management.azure.com/subscriptions/\
                 SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.Insights/dataCollectionRules/\
                 mdatp-forward?api-version={API_VERSION}\""
            )],
        );
        self.add(
            "Grant the app the role to send to it. It can take 30 minutes until the role takes effect; runs fail with 403 until \
             then, and nothing is lost.",
            &["az role assignment create --role \"Monitoring Metrics Publisher\" --assignee-principal-type \
               ServicePrincipal --assignee-object-id PRINCIPAL_ID --scope RULE_RESOURCE_ID"
                .to_owned()],
        );
        self.add(
            "Change the app's settings, and start it. It continues from its checkpoint: no alert is sent twice or left out.",
            &[
                format!(
                    "az functionapp config appsettings set --resource-group GROUP --name APP --settings \
                     MDATP_SINK=logs-ingestion MDATP_RECORD_SHAPE=classic MDATP_LOG_NAME={log_name} \
                     MDATP_STREAM={} MDATP_DCR_ID=IMMUTABLE_ID MDATP_INGESTION_ENDPOINT=ENDPOINT",
                    stream(log_name)
                ),
                "az functionapp start --resource-group GROUP --name APP".to_owned(),
            ],
        );
    }

    fn add(&mut self, what: &str, commands: &[String]) {
        self.count += 1;
        let _ = writeln!(self.text, "{}. {what}", self.count);
        for command in commands {
            let _ = writeln!(self.text, "   {command}");
        }
        self.text.push('\n');
    }
}
