//! Which documents are rejected, one change away from a good one.

use serde_json::json;

use super::*;

fn rule() -> Value {
    json!({
        "location": "westeurope",
        "kind": "Direct",
        "properties": {
            "streamDeclarations": {
                "Custom-A": {"columns": [
                    {"name": "TimeGenerated", "type": "datetime"},
                    {"name": "AlertId", "type": "string", "description": "the alert's id"},
                ]},
            },
            "destinations": {"logAnalytics": [{
                "name": "workspace",
                "workspaceResourceId": "/subscriptions/s/resourceGroups/g/providers/Microsoft.OperationalInsights/workspaces/w",
            }]},
            "dataFlows": [{
                "streams": ["Custom-A"],
                "destinations": ["workspace"],
                "transformKql": "source",
                "outputStream": "Custom-A_CL",
            }],
        },
    })
}

fn names(document: &Value) -> Result<Vec<String>, String> {
    Ok(streams(&document.to_string(), &Tables::new())?.into_keys().collect())
}

#[test]
fn a_rule_is_read_from_a_template_and_as_the_command_line_prints_it() {
    let expected = Ok(vec!["Custom-A".to_owned()]);
    let mut template = rule();
    assert_eq!(names(&template), expected);
    template["properties"]["destinations"]["logAnalytics"][0]["workspaceResourceId"] =
        "[parameters('workspace')]".into();
    assert_eq!(names(&template), expected);
    let mut printed = template["properties"].take();
    printed["kind"] = "Direct".into();
    printed["endpoints"] = json!({"logsIngestion": "https://a-b1c2.westeurope-1.ingest.monitor.azure.com"});
    assert_eq!(names(&printed), expected);
}

#[test]
fn what_azure_would_reject_is_rejected_and_named() {
    let flow = "/properties/dataFlows/0";
    let streams = "/properties/streamDeclarations";
    let destinations = "/properties/destinations/logAnalytics";
    let column = "/properties/streamDeclarations/Custom-A/columns/1";
    let columns = "/properties/streamDeclarations/Custom-A/columns";
    let nothing = json!({"streamDeclarations": {}, "destinations": {"logAnalytics": []}, "dataFlows": []});
    let named = |name: &str| json!({"name": name, "type": "string"});
    let time = json!({"name": "TimeGenerated", "type": "datetime"});
    let too_long = format!("A{}", "b".repeat(45));
    for (at, value, message) in [
        ("/kind", json!("Linux"), "InvalidPayload: .*kind 'Direct' .*\"Linux\""),
        ("/properties/dataFlows", Value::Null, "InvalidRequestContent: .*null"),
        ("/properties", json!({}), "InvalidRequestContent: .*`streamDeclarations`"),
        ("/properties", nothing, "no stream is declared"),
        (streams, json!({}), "'Custom-A' is not declared"),
        (streams, json!({"A": {"columns": []}}), "'Custom-A' is not declared"),
        ("/properties/dataFlows", json!([]), "no data flow takes this stream (properties.streamDeclarations"),
        (column, json!({"name": "A", "type": "guid"}), "the column 'A' has the type 'guid'"),
        (column, json!({"name": "A", "type": "String"}), "the column 'A' has the type 'String'"),
        (column, named("_ResourceId"), "'_ResourceId' is"),
        (column, named("id"), "'id' is reserved"),
        (column, named("ID"), "'ID' is reserved"),
        (column, named("_SubscriptionId"), "'_SubscriptionId' is"),
        (column, named("tenantid"), "'tenantid' is reserved"),
        (column, named("Type"), "'Type' is reserved"),
        (column, named("uniqueId"), "'uniqueId' is reserved"),
        (column, named("title"), "'title' is reserved"),
        (column, named("1st"), "'1st' is not a letter"),
        (column, named("_a"), "'_a' is not a letter"),
        (column, named("a-b"), "'a-b' is not a letter"),
        (column, named("é"), "'é' is not a letter"),
        (column, named(""), "'' is not a letter"),
        (column, named(&too_long), "bbb' is not a letter followed by at most 44"),
        (columns, json!([time, named("A"), named("A")]), "the column 'A' is there twice"),
        (columns, json!([named("A")]), "InvalidTransformOutput: .*no column 'TimeGenerated'"),
        (
            columns,
            json!([named("TimeGenerated")]),
            "InvalidTransformOutput: .*TimeGenerated [produced:'String', output:'DateTime']",
        ),
        (&format!("{flow}/streams"), json!(["Custom-B"]), "the stream 'Custom-B' is not declared"),
        (&format!("{flow}/destinations"), json!(["other"]), "the destination 'other' is not declared"),
        (&format!("{flow}/destinations"), json!([]), "a stream goes to one workspace"),
        (
            &format!("{flow}/destinations"),
            json!(["workspace", "workspace"]),
            "a stream goes to one workspace",
        ),
        (&format!("{flow}/outputStream"), json!("Custom-A"), "'Custom-A' is not 'Custom-<table>_CL'"),
        (&format!("{flow}/outputStream"), json!("A_CL"), "'A_CL' is not 'Custom-<table>_CL'"),
        (&format!("{flow}/outputStream"), json!("Custom-_CL"), "'Custom-_CL' is not"),
        (&format!("{flow}/outputStream"), Value::Null, "'' is not 'Custom-<table>_CL'"),
        (&format!("{flow}/transformKql"), json!("source | take 1"), "the simulator knows only"),
        (&format!("{destinations}/0/workspaceResourceId"), json!("w"), "LinkedInvalidPropertyId: .*id 'w'"),
        (destinations, json!([]), "the destination 'workspace' is not declared"),
    ] {
        let mut document = rule();
        *document.pointer_mut(at).expect("it is there") = value.clone();
        let rejection = names(&document).expect_err(&format!("{at} {value}"));
        let parts: Vec<_> = message.split(".*").collect();
        assert!(parts.iter().all(|part| rejection.contains(part)), "{at} {value}: {rejection}");
    }
}

#[test]
fn a_stream_is_declared_under_its_own_kind_of_name_and_flows_once() {
    let mut document = rule();
    let parts = &mut document["properties"];
    parts["streamDeclarations"]["A"] = parts["streamDeclarations"]["Custom-A"].take();
    parts["streamDeclarations"].as_object_mut().expect("an object").remove("Custom-A");
    parts["dataFlows"][0]["streams"] = json!(["A"]);
    let rejection = names(&document).expect_err("not Custom-");
    assert!(rejection.contains("begins with 'Custom-'"), "{rejection}");

    let mut document = rule();
    let twice = document["properties"]["dataFlows"][0].clone();
    document["properties"]["dataFlows"] = json!([twice, twice]);
    let rejection = names(&document).expect_err("two flows");
    assert!(rejection.contains("one data flow a stream"), "{rejection}");

    let mut document = rule();
    let twice = document["properties"]["destinations"]["logAnalytics"][0].clone();
    document["properties"]["destinations"]["logAnalytics"] = json!([twice, twice]);
    let rejection = names(&document).expect_err("two destinations");
    assert!(rejection.contains("the destination 'workspace' is there twice"), "{rejection}");

    for text in ["", "[]", "{}"] {
        assert!(streams(text, &Tables::new()).is_err(), "{text:?}");
    }
}

#[test]
fn the_longest_name_is_taken() {
    let mut document = rule();
    let columns = &mut document["properties"]["streamDeclarations"]["Custom-A"]["columns"];
    columns[1]["name"] = format!("A{}", "b".repeat(44)).into();
    assert_eq!(names(&document), Ok(vec!["Custom-A".to_owned()]));
}

/// Every column of the table is compared, and what the transformation makes of it counts.
#[test]
fn a_rule_that_puts_out_other_types_than_its_table_has_is_rejected_in_the_services_words() {
    let columns = |guid: &str, number: &str| {
        json!([
            {"name": "TimeGenerated", "type": "dateTime"}, {"name": "a_g", "type": guid}, {"name": "b_g", "type": guid},
            {"name": "n_d", "type": number}, {"name": "mine", "type": "dynamic"}
        ])
    };
    let table = |columns: Value, kind: &str| {
        json!({"schema": {"name": "A_CL", "tableSubType": kind, "columns": columns}}).to_string()
    };
    let deploy = |table: &str, kql: &str| {
        let mut document = rule();
        document["properties"]["streamDeclarations"]["Custom-A"]["columns"] = json!([
            {"name": "TimeGenerated", "type": "datetime"}, {"name": "a_g", "type": "string"},
            {"name": "b_g", "type": "string"}, {"name": "n_d", "type": "real"}, {"name": "new", "type": "string"}
        ]);
        document["properties"]["dataFlows"][0]["transformKql"] = kql.into();
        let (name, table) = Table::parse(table).expect("a table");
        streams(&document.to_string(), &Tables::from([(name, Arc::new(table))])).map(drop)
    };
    let migrated = "DataCollectionRuleBased";
    let words = "InvalidTransformOutput: Types of transform output columns do not match the ones defined by the output stream: ";
    let both = "source | extend a_g = toguid(a_g), b_g = toguid(b_g)";
    for (table, kql, expected) in [
        (table(columns("guid", "real"), migrated), both, Ok(())),
        (table(columns("string", "real"), migrated), "source", Ok(())),
        (
            table(columns("guid", "real"), migrated),
            "source",
            Err(format!(
                "{words}a_g [produced:'String', output:'Guid'], b_g [produced:'String', output:'Guid']"
            )),
        ),
        (
            table(columns("guid", "real"), migrated),
            "source | extend a_g = toguid(a_g)",
            Err(format!("{words}b_g [produced:'String', output:'Guid']")),
        ),
        (
            table(columns("string", "real"), migrated),
            "source | extend a_g = toguid(a_g)",
            Err(format!("{words}a_g [produced:'Guid', output:'String']")),
        ),
        (
            table(columns("guid", "int"), migrated),
            both,
            Err(format!("{words}n_d [produced:'Real', output:'Int']")),
        ),
        (table(columns("guid", "string"), migrated), &*format!("{both}, n_d = tostring(n_d)"), Ok(())),
        (
            table(columns("guid", "real"), migrated),
            "source | extend c = toguid(c)",
            Err("InvalidTransformQuery: the query has no column 'c'".to_owned()),
        ),
        (
            table(columns("guid", "real"), "Classic"),
            both,
            Err("InvalidOutputTable: Table for output stream 'Custom-A_CL' is not available for destination"
                .to_owned()),
        ),
    ] {
        assert_eq!(deploy(&table, kql), expected, "{kql} into {table}");
    }
}
