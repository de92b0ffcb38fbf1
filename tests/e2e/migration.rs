//! From a table that the Data Collector API made to the Logs Ingestion API: what `migrate --plan` prints is followed
//! command by command, and no value is lost on the way that comes of it.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use simulator::Sink;
use tempfile::TempDir;

use crate::stage::{Stage, WORKSPACE, minutes_ago};

/// The types that the Data Collector API gave columns by the suffix of their names (documentation page "Send log data
/// to Azure Monitor by using the HTTP Data Collector API", section Record type and properties).
const SUFFIXES: [(&str, &str); 5] =
    [("_s", "string"), ("_g", "guid"), ("_d", "real"), ("_b", "boolean"), ("_t", "dateTime")];

/// A GUID with letters, and one as some services write it.
const TENANT: &str = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d";

fn classic_columns() -> Vec<String> {
    let document: Value =
        serde_json::from_str(&run(&["--shape", "classic", "--format", "table"])).expect("JSON");
    let columns = document["properties"]["schema"]["columns"].as_array().expect("columns").clone();
    columns.iter().map(|column| column["name"].as_str().expect("a name").to_owned()).collect()
}

/// A table as `az` shows it, with each of these columns in the type of its suffix.
fn table(columns: &[String], kind: &str) -> Value {
    let of_suffix = |name: &String| SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix));
    let columns: Vec<_> =
        columns.iter().filter_map(|name| Some(json!({"name": name, "type": of_suffix(name)?.1}))).collect();
    let standard =
        json!([{"name": "TimeGenerated", "type": "dateTime"}, {"name": "TenantId", "type": "guid"}]);
    json!({"plan": "Analytics", "schema": {
        "name": "MDATPAlerts_CL", "tableSubType": kind, "columns": columns, "standardColumns": standard
    }})
}

/// One that has had values in all columns but these, which this program has added.
fn old_table() -> Value {
    let added = ["additionalFields_s", "truncatedFields_s", "detectorId_s", "vmMetadata_subscriptionId_g"];
    let old: Vec<_> = classic_columns().into_iter().filter(|name| !added.contains(&name.as_str())).collect();
    table(&old, "Classic")
}

fn with_type(table: &Value, column: &str, kind: &str) -> Value {
    let mut table = table.clone();
    let columns = table["schema"]["columns"].as_array_mut().expect("columns");
    columns.iter_mut().find(|known| known["name"] == column).expect(column)["type"] = json!(kind);
    table
}

/// What `schema` prints; it must succeed.
fn run(arguments: &[&str]) -> String {
    let output = binary(&[&["schema"], arguments].concat(), Path::new("."));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn binary(arguments: &[&str], folder: &Path) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdatp-forward"));
    command.args(arguments).env_clear().current_dir(folder).output().expect("the binary runs")
}

/// A folder in which a plan is followed, and the cloud of the stand-in for `az`.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new(table: &Value) -> Self {
        let desk = Self { folder: tempfile::tempdir().expect("a folder") };
        for folder in ["cloud", "here", "bin"] {
            fs::create_dir(desk.path(folder)).expect("a folder");
        }
        fs::write(desk.path("cloud/table"), table.to_string()).expect("written");
        let az = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/migration/az");
        for (name, target) in
            [("az", az.as_path()), ("mdatp-forward", Path::new(env!("CARGO_BIN_EXE_mdatp-forward")))]
        {
            std::os::unix::fs::symlink(target, desk.path("bin").join(name)).expect("a link");
        }
        desk
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The plan for the table as the cloud has it now.
    fn plan(&self) -> String {
        let output = binary(&["migrate", "--plan", "../cloud/table"], &self.path("here"));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs every command of a plan, in order, in a shell; each must succeed.
    fn follow(&self, plan: &str) {
        let commands = commands(plan);
        assert!(commands.len() >= 8, "{plan}");
        for command in commands {
            let mut shell = Command::new("bash");
            let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
            shell.args(["-euo", "pipefail", "-c", &command]).current_dir(self.path("here")).env_clear();
            shell.envs([("PATH", path)]).env("CLOUD", self.path("cloud")).env("HERE", self.path("here"));
            let output = shell.output().expect("bash");
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// The commands of a plan, with what stands in capitals for a place replaced.
fn commands(plan: &str) -> Vec<String> {
    let is_command = |line: &&str| line.starts_with("   az ") || line.starts_with("   mdatp-forward ");
    let commands = plan.lines().filter(is_command);
    commands.map(|line| line.trim().replace("WORKSPACE_RESOURCE_ID", WORKSPACE)).collect()
}

/// Azure answers the rule that knows no table with `InvalidTransformOutput`: Azure/Azure-Sentinel#12384.
#[tokio::test]
async fn a_rule_that_was_not_made_from_the_table_is_rejected_for_every_guid() {
    let stage = Stage::new(Sink::LogsIngestion).await;
    let columns = classic_columns();
    stage.cloud.create_table(&table(&columns, "DataCollectionRuleBased").to_string()).expect("a table");
    let rule = run(&["--shape", "classic", "--format", "dcr", "--workspace", WORKSPACE]);
    let refusal = stage.cloud.deploy_rule(&rule).expect_err("the table has guids");
    assert!(refusal.starts_with("InvalidTransformOutput: Types of transform output"), "{refusal}");
    let guids: Vec<_> = columns.iter().filter(|name| name.ends_with("_g")).collect();
    assert_eq!(guids.len(), 5, "{guids:?}");
    for guid in guids {
        assert!(refusal.contains(&format!("{guid} [produced:'String', output:'Guid']")), "{refusal}");
    }
}

#[tokio::test]
async fn a_plan_that_is_followed_leads_to_a_rule_that_the_table_takes_and_loses_no_value() {
    let desk = Desk::new(&old_table());
    desk.follow(&desk.plan());
    let mut stage = Stage::new(Sink::LogsIngestion).await;
    stage.generate(300, 25);
    let created = minutes_ago(5);
    for (id, detector) in
        [("guid", TENANT.to_uppercase().replace('-', "")), ("text", "custom-rule-7".to_owned())]
    {
        stage.cloud.add_alert(&format!(
            r#"{{"id":"{id}","detectorId":"{detector}","aadTenantId":"{TENANT}","alertCreationTime":"{created}","lastUpdateTime":"{created}","machineId":null,"evidence":[]}}"#
        ));
    }
    stage.cloud.create_table(&desk.read("cloud/table")).expect("a table");
    stage.cloud.deploy_rule(&desk.read("cloud/rule")).expect("a rule that the service takes");
    for setting in desk.read("cloud/settings").lines() {
        let (name, value) = setting.split_once('=').expect("a setting");
        if !["MDATP_DCR_ID", "MDATP_INGESTION_ENDPOINT"].contains(&name) {
            stage.set(name, value);
        }
    }
    let report = stage.tick().await;
    assert_eq!((&report["alertsSent"], &report["valuesMisfit"]), (&json!(302), &json!(0)), "{report}");
    assert_eq!(stage.cloud.lost_values(), vec![]);
    let rows = stage.cloud.rows();
    assert_eq!(rows.len(), 302);
    let row = |id: &str| rows.iter().find(|row| row["id_s"] == *id).expect(id);
    assert_eq!(row("guid")["detectorId_g"], TENANT);
    assert_eq!(row("guid")["aadTenantId_g"], TENANT);
    assert_eq!(row("text")["detectorId_s"], "custom-rule-7");
    assert_eq!(row("text").get("detectorId_g"), None);
    assert!(rows.iter().filter(|row| row.contains_key("vmMetadata_vmId_g")).count() > 0);
}

/// The step that cannot be undone comes after the rule has been made and compared, and the rule after the table's
/// updates are done.
#[test]
fn the_steps_are_in_an_order_in_which_nothing_fails_too_late() {
    let order = |table: &Value| {
        let desk = Desk::new(table);
        let plan = desk.plan();
        let told: Vec<_> = commands(&plan)
            .iter()
            .map(|command| {
                let words = command.split(' ').filter(|word| !word.contains('='));
                let words: Vec<_> = words.take_while(|word| !word.starts_with('>')).collect();
                let is_check = words.contains(&"--check");
                let is_made = words.contains(&"dcr") && !is_check;
                let is_of_table = words.contains(&"--table");
                match words[..] {
                    ["az", "rest", ..] => "rule".to_owned(),
                    ["az", "monitor", "log-analytics", "workspace", "table", verb, ..]
                    | ["az", "functionapp", verb, ..]
                    | ["az", verb, ..] => verb.to_owned(),
                    _ if is_made && is_of_table => "make".to_owned(),
                    _ if is_check && is_of_table => "compare".to_owned(),
                    _ => "check".to_owned(),
                }
            })
            .collect();
        told.join(" ")
    };
    let rest = "rule role config start show check compare";
    let all = classic_columns();
    let migrated = "DataCollectionRuleBased";
    let mut lacking = old_table();
    lacking["schema"]["tableSubType"] = json!(migrated);
    for (table, expected) in [
        (old_table(), format!("show make compare migrate wait stop update wait {rest}")),
        (table(&all, "Classic"), format!("show make compare migrate wait {rest}")),
        (lacking, format!("stop update wait show make compare {rest}")),
        (table(&all, migrated), format!("show make compare {rest}")),
    ] {
        assert_eq!(order(&table), expected);
    }
}

/// zsh takes `?`, `*` and brackets for patterns of file names, and a word with one that finds no file is an error.
#[test]
fn every_command_of_a_plan_is_one_that_zsh_runs_as_it_is_printed() {
    let mut basic = old_table();
    basic["plan"] = json!("Basic");
    for table in [old_table(), basic] {
        let plan = Desk::new(&table).plan();
        for command in commands(&plan) {
            let mut quoted = false;
            for c in command.chars() {
                quoted ^= c == '"';
                assert!(quoted || !"?*[]{}~#!$;&()^<'\\".contains(c), "{c} in {command}");
            }
            assert!(!quoted, "{command}");
            let mut shell = Command::new("bash");
            assert!(shell.args(["-n", "-c", &command]).status().expect("bash").success(), "{command}");
        }
    }
}

/// Types of other tables, made or changed by hand: what can be converted is, in the rule that is printed and in what
/// it puts into the table; what cannot is told before anything is done.
#[tokio::test]
async fn a_table_with_types_of_its_own_gets_every_value_or_is_told_to_be_unfit() {
    let whole = table(&classic_columns(), "DataCollectionRuleBased");
    let mut own = whole.clone();
    for (column, kind) in [
        ("osBuild_d", "string"),
        ("incidentId_d", "long"),
        ("isAadJoined_b", "string"),
        ("alertCreationTime_t", "string"),
        ("evidence_s", "dynamic"),
        ("aadTenantId_g", "string"),
        ("lastSeen_t", "dynamic"),
    ] {
        own = with_type(&own, column, kind);
    }
    let desk = Desk::new(&own);
    desk.follow(&desk.plan());
    let mut stage = Stage::new(Sink::LogsIngestion).await;
    stage.cloud.add_machine(
        r#"{"id":"m","osBuild":22631,"isAadJoined":true,"lastSeen":"2026-11-01T00:00:00.1234567Z"}"#,
    );
    let created = minutes_ago(5);
    stage.cloud.add_alert(&format!(
        r#"{{"id":"a","incidentId":9007199254740992,"aadTenantId":"{TENANT}","alertCreationTime":"{created}","lastUpdateTime":"{created}","machineId":"m","evidence":[{{"entityType":"File"}}]}}"#
    ));
    stage.cloud.create_table(&desk.read("cloud/table")).expect("a table");
    stage.cloud.deploy_rule(&desk.read("cloud/rule")).expect("a rule that the service takes");
    stage.set("MDATP_RECORD_SHAPE", "classic");
    assert_eq!(stage.tick().await["valuesMisfit"], 0);
    assert_eq!(stage.cloud.lost_values(), vec![]);
    let row = Value::Object(stage.cloud.rows().remove(0));
    for (column, value) in [
        ("osBuild_d", json!("22631")),
        ("incidentId_d", json!(9_007_199_254_740_992_i64)),
        ("isAadJoined_b", json!("true")),
        ("alertCreationTime_t", json!(created)),
        ("evidence_s", json!(r#"[{"entityType":"File"}]"#)),
        ("aadTenantId_g", json!(TENANT)),
        ("lastSeen_t", json!("2026-11-01T00:00:00.1234567Z")),
    ] {
        assert_eq!(row[column], value, "{column}");
    }

    for (column, kind, needed) in [
        ("assignedTo_s", "guid", "string"),
        ("osBuild_d", "int", "real"),
        ("title_s", "dateTime", "string"),
        ("alertCreationTime_t", "long", "datetime"),
    ] {
        let unfit = with_type(&whole, column, kind);
        let desk = Desk::new(&unfit);
        let told = format!("{column} is {kind}, and must be {needed}");
        let made = ["schema", "--shape", "classic", "--format", "dcr", "--table", "cloud/table"];
        for arguments in [&["migrate", "--plan", "cloud/table"][..], &made] {
            let output = binary(arguments, desk.folder.path());
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{arguments:?}: {error}");
            assert!(error.contains(&told), "{arguments:?}: {error}");
        }
    }
}

/// Runs `schema` in a folder with these files, and says how it ended and what it printed.
fn schema_on(files: &[(&str, &[u8])], arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("written");
    }
    let output = binary(&[&["schema", "--shape", "classic"], arguments].concat(), folder.path());
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_rule_is_made_from_a_table_in_whatever_encoding_and_named_after_it() {
    let mut document = table(&classic_columns(), "DataCollectionRuleBased");
    document["schema"]["name"] = json!("Mine_CL");
    let text = document.to_string();
    let utf16: Vec<u8> = format!("\u{feff}{text}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let listed = format!("{{\"value\":[{{\"properties\":{text}}}]}}");
    for bytes in [text.as_bytes(), &utf16, listed.as_bytes()] {
        let (code, out, err) =
            schema_on(&[("table.json", bytes)], &["--format", "dcr", "--health", "--table", "table.json"]);
        assert_eq!(code, Some(0), "{err}");
        let rule: Value = serde_json::from_str(&out).expect("JSON");
        let flows = &rule["properties"]["dataFlows"];
        assert_eq!(flows[0]["outputStream"], "Custom-Mine_CL");
        assert_eq!(flows[1]["outputStream"], "Custom-MineHealth_CL");
        let kql = flows[0]["transformKql"].as_str().expect("a transformation");
        assert!(kql.contains("aadTenantId_g = toguid(aadTenantId_g)"), "{kql}");
        assert!(!flows[1]["transformKql"].as_str().expect("a transformation").contains("toguid"));
    }
    let table = [("table.json", text.as_bytes())];
    for (arguments, told) in [
        (&["--table", "table.json"][..], "--format dcr"),
        (&["--table", "table.json", "--format", "kql"], "--format dcr"),
        (&["--table", "table.json", "--format", "dcr", "--log-name", "Mine"], "--log-name"),
        (&["--table", "nowhere.json", "--format", "dcr"], "nowhere.json"),
        (&["--table", "-", "--check", "-"], "stdin"),
        (&["--table", "table.json", "--check", "table.json"], "this is a table"),
    ] {
        let (code, out, err) = schema_on(&table, arguments);
        assert_eq!((code, out.as_str()), (Some(64), ""), "{arguments:?}");
        assert!(err.contains(told), "{arguments:?}: {err}");
    }
}

#[test]
fn a_rule_is_compared_with_the_table_as_the_service_does() {
    let all = classic_columns();
    let migrated = table(&all, "DataCollectionRuleBased");
    let place = ["--format", "dcr", "--workspace", WORKSPACE, "--table", "table.json"];
    let made = schema_on(&[("table.json", migrated.to_string().as_bytes())], &place).1;
    let plain = run(&["--shape", "classic", "--format", "dcr"]);
    let with_kql = |kql: &str| {
        let mut rule: Value = serde_json::from_str(&made).expect("JSON");
        rule["properties"]["dataFlows"][0]["transformKql"] = json!(kql);
        rule.to_string()
    };
    let mut elsewhere = migrated.clone();
    elsewhere["schema"]["name"] = json!("Other_CL");
    let lacking: Vec<_> = all.iter().filter(|name| *name != "title_s").cloned().collect();
    let check = |rule: &str, table: Option<&Value>| {
        let table_text = table.map(Value::to_string).unwrap_or_default();
        let files = [("rule.json", rule.as_bytes()), ("table.json", table_text.as_bytes())];
        let mut arguments = vec!["--check", "rule.json"];
        if table.is_some() {
            arguments.extend(["--table", "table.json"]);
        }
        let (code, out, _) = schema_on(&files, &arguments);
        (code, out)
    };
    for (rule, table, code, first) in [
        (&made, Some(&migrated), 0, "converted: aadTenantId_g by toguid()"),
        (&made, None, 0, "converted: aadTenantId_g by toguid()"),
        (
            &plain,
            Some(&migrated),
            1,
            "rejected: aadTenantId_g is guid in the table, and the rule outputs string",
        ),
        (
            &made,
            Some(&with_type(&migrated, "aadTenantId_g", "string")),
            1,
            "rejected: aadTenantId_g is string",
        ),
        (&made, Some(&with_type(&migrated, "osBuild_d", "int")), 1, "rejected: osBuild_d is int"),
        (&made, Some(&with_type(&migrated, "title_s", "dynamic")), 1, "rejected: title_s is dynamic"),
        (
            &made,
            Some(&self::table(&lacking, "DataCollectionRuleBased")),
            1,
            "missing in the table: title_s, which the rule outputs",
        ),
        (
            &made,
            Some(&self::table(&lacking, "Classic")),
            0,
            "to be added to the table once it is migrated: title_s",
        ),
        (&with_kql("source | extend title_s = toguid(title_s)"), None, 1, "lost: the rule's toguid(title_s)"),
        (&with_kql("source | where true"), Some(&migrated), 0, "transformed: "),
    ] {
        let (ended, out) = check(rule, table);
        assert_eq!(ended, Some(code), "{first}: {out}");
        assert!(out.lines().any(|line| line.starts_with(first)), "{first}: {out}");
    }
    let (ended, out) = check(&plain, None);
    assert_eq!((ended, out.as_str()), (Some(0), ""), "a rule for a table of this program's own columns");
    // The log's name is the table's, so a rule for another one has no such stream.
    assert_eq!(check(&made, Some(&elsewhere)).0, Some(1));
}

#[test]
fn a_table_check_tells_what_a_plan_of_the_table_does_not_let_work() {
    let mut document = table(&classic_columns(), "DataCollectionRuleBased");
    for (plan, code, told) in [
        ("Analytics", 0, None),
        ("Basic", 0, Some("plan: Basic")),
        ("basic", 0, Some("plan: Basic")),
        ("Auxiliary", 1, Some("plan: Auxiliary")),
        ("Lake", 0, None),
    ] {
        document["plan"] = json!(plan);
        for document in [document.clone(), json!({ "properties": document })] {
            let text = document.to_string();
            let (ended, out, _) = schema_on(&[("t.json", text.as_bytes())], &["--check", "t.json"]);
            assert_eq!(ended, Some(code), "{plan}: {out}");
            let line = out.lines().find(|line| line.starts_with("plan: "));
            assert_eq!(line.map(|line| &line[..told.map_or(0, str::len)]), told, "{plan}: {out}");
        }
    }
    document["plan"] = json!("Auxiliary");
    let output = binary(&["migrate", "--plan", "cloud/table"], Desk::new(&document).folder.path());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}
