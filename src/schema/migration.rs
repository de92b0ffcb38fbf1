//! The way from a table of the Data Collector API to the Logs Ingestion API with its columns kept, step by
//! step (documentation page "Migrate from the HTTP Data Collector API to the Logs Ingestion API").

use std::fmt::Write;

use super::{
    ColumnType, Shape,
    check::{Difference, SchemaDocument},
    columns,
    rule::API_VERSION,
    table::{Declared, Table, stream},
};

/// What is to be done with a table, as text. `log_name` is its name without `_CL`. Every command is one that bash and
/// zsh run as it is printed, once the words in capitals are replaced.
///
/// # Errors
///
/// Why the table cannot take what is sent, whatever is done.
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
    // What says nothing of itself is taken for an old one.
    let is_classic = table.is_classic() || table.schema.table_sub_type.is_none();
    let mut steps = Steps::default();
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
            "Make the data collection rule from the table, and compare the two: its columns with _g are guid, which the \
             rule must make of texts, or the service rejects it. Go on only when the last command says that the rule \
             takes all that is sent.",
            &[show.clone(), make.clone(), compare.clone()],
        );
        steps.add(
            "Migrate the table to data collection rules. This cannot be undone. Its columns and rows stay, and \
             posts of the Data Collector API go on into the columns there are.",
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
                "Add the {} columns it does not have yet. From here on the Data Collector API can no longer \
                 write to this table: stop the app first, and start it again after the last step. What is new \
                 meanwhile is sent then.",
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
        "\nA text that looks like a GUID was put into a column with _g by the Data Collector API, whatever it was. Here \
         only those members are that are GUIDs: aadTenantId, detectorId, aadDeviceId, vmId and subscriptionId.\n",
    );
    text.push_str(
        "\nid_s holds the alert's id in every row that mdatp-forward sends. A Logic App that merged with \
         union(alert, machine) wrote the machine's id there, since the machine's member overwrote the alert's: \
         in such rows the alert's id is gone. Queries that take id_s for the machine must use machineId_s, which \
         holds the machine's id in both.\n",
    );
    Ok(text)
}

/// All columns of the table with those it lacks, as `az` takes them. An update says what the columns are, so those there
/// are must be said again.
fn all_columns(table: &Table, missing: &[(&str, ColumnType)]) -> String {
    let known = table.columns().iter().map(|known| (&*known.name, known.kind.to_ascii_lowercase()));
    let missing = missing.iter().map(|(name, kind)| (*name, kind.name().to_owned()));
    known.chain(missing).map(|(name, kind)| format!("{name}={kind}")).collect::<Vec<_>>().join(" ")
}

/// Which of the table's own columns get no values any more.
fn unfilled(table: &Table) -> String {
    let mut text = String::new();
    let is_filled =
        |known: &&Declared| columns(Shape::Classic).iter().any(|column| column.name == known.name);
    let unfilled: Vec<_> = table.columns().iter().filter(|known| !is_filled(known)).collect();
    // Writing to a String cannot fail.
    let _ = match unfilled.is_empty() {
        true => writeln!(text, "Every existing column goes on being filled."),
        false => {
            writeln!(text, "These existing columns will no longer be filled; the rows they have keep them:")
        }
    };
    for known in unfilled {
        let _ = match instead(&known.name) {
            Some(column) => writeln!(text, "   {}; such values are in {column}", known.name),
            None => writeln!(text, "   {}; such values are in additionalFields_s", known.name),
        };
    }
    text
}

/// The column of the classic shape with the values of another column of the same member.
fn instead(name: &str) -> Option<&'static str> {
    let (path, _) = name.rsplit_once('_')?;
    let same = |column: &&super::Column| column.name.rsplit_once('_').is_some_and(|(known, _)| known == path);
    columns(Shape::Classic).iter().find(same).map(|column| column.name.as_ref())
}

#[derive(Default)]
struct Steps {
    count: usize,
    text: String,
}

impl Steps {
    /// From the rule that is made to the app that sends to it.
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
            "Let the app send to it. The role takes up to 30 minutes to work; until then runs fail with 403, and \
             nothing is lost.",
            &["az role assignment create --role \"Monitoring Metrics Publisher\" --assignee-principal-type \
               ServicePrincipal --assignee-object-id PRINCIPAL_ID --scope RULE_RESOURCE_ID"
                .to_owned()],
        );
        self.add(
            "Tell the app, and start it. The checkpoint goes on where it is: no alert is sent twice or left out.",
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
