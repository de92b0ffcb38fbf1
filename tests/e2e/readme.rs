//! Every command in the documents is run as it stands there, line by line and in order, by the shell it is
//! written for. `readme/bin` stands in for what is not on this machine, and says why; what nobody accounts for
//! fails, and so does an account of what is not there.

pub mod document;
mod session;

use std::{collections::BTreeSet, fs, path::Path};

use simulator::Sink;

use crate::{
    check::CHECKS,
    stage::{Stage, alert, minutes_ago},
};
use document::{Document, commands, documents};
use session::{Done, Replaced, STAND_INS, Session};

const REPLACED: [Replaced; 11] = [
    ("tests/run", "grep -qx tests/run .ci/run", "runs this too: .ci/run runs it"),
    (".ci/run", "test -x .ci/run", "runs this too: the workflow runs it"),
    (
        "deploy/package.sh",
        "rm -rf dist && mkdir -p dist/app && cp -r host.json MdatpForward dist/app && : >dist/app/mdatp-forward && cp \
         host.json dist/mdatp-forward.zip",
        "builds for minutes: tests/package runs it",
    ),
    (
        "deploy/package.sh --now",
        "rm -rf dist && mkdir -p dist/app && cp -r host.json MdatpForward deploy/MdatpNow dist/app && : \
         >dist/app/mdatp-forward && cp host.json dist/mdatp-forward.zip",
        "builds for minutes: tests/package runs it",
    ),
    (
        "deploy/package.sh --tenants",
        "rm -rf dist && mkdir -p dist/app && cp -r deploy/tenants/host.json deploy/tenants/MdatpForward \
         deploy/tenants/MdatpTenant dist/app && : >dist/app/mdatp-forward && cp host.json dist/mdatp-forward.zip",
        "builds for minutes: tests/package runs it",
    ),
    (
        "deploy/onboard-tenant.sh \"$CLIENT_ID\" \"$TENANT\" Contoso",
        "test -x deploy/onboard-tenant.sh",
        "waits for the first run of an app in Azure: tests/e2e/deploy runs it",
    ),
    (
        "mdatp-forward tenants check \"$TENANT\" --wait 30m",
        "mdatp-forward tenants check \"$TENANT\" --wait 1s || test $? = 2",
        "no app runs here, and the simulated Entra ID has no such tenant: tests/e2e/tenants_commands.rs waits for a run",
    ),
    (
        "mdatp-forward tenants check",
        "mdatp-forward tenants check || test $? = 1",
        "the tenant has had no run",
    ),
    ("mdatp-forward status --all", "mdatp-forward status --all || test $? = 1", "the tenant has had no run"),
    ("mdatp-forward set-aside show ID", "mdatp-forward set-aside show kept", "ID is one that list shows"),
    ("mdatp-forward set-aside replay ID", "mdatp-forward set-aside replay kept", "ID is one that list shows"),
];

/// What README's commands leave to the other documents: a clone with the program in it, the simulated cloud, and the
/// names of a deployment.
const AS_IN_README: [&str; 6] = [
    "git clone https://github.com/OWNER/mdatp-forward",
    "cd mdatp-forward",
    "cargo build --profile demo",
    "cp target/demo/mdatp-forward .",
    "cargo simulator",
    "GROUP=security WORKSPACE=sentinel REGION=westeurope APP=forwarder",
];

/// A service with alerts, an app that has run once, and a record that is set aside.
async fn stage() -> Stage {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 20, 2).await;
    stage.tick().await;
    let folder = stage.state_file("set-aside");
    fs::create_dir_all(&folder).expect("a folder");
    let record = alert("kept", None, &minutes_ago(9));
    let document = format!(r#"{{"id":"kept","reason":"refused: on purpose","record":{record}}}"#);
    fs::write(folder.join("kept.json"), document).expect("written");
    stage
}

/// Runs the commands of `text` as those of the document `name`.
async fn run(name: &str, text: &str, used: &mut BTreeSet<&'static str>) -> Done {
    let session = match name {
        "README.md" => Session::new(),
        // It has what there is to do about such a table.
        "docs/columns.md" => Session::new().with_old_table().then(&AS_IN_README, &[], used),
        _ => Session::new().then(&AS_IN_README, &[], used),
    };
    let commands = commands(text).unwrap_or_else(|problem| panic!("{name}: {problem}"));
    session.then(&commands, &REPLACED, used).run(&stage().await).await
}

/// The entries of a stand-in.
fn accounts(stand_in: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/readme/bin").join(stand_in);
    let text = fs::read_to_string(path).expect("a stand-in");
    let entries = text.lines().filter_map(|line| line.trim_start().strip_prefix("[\"")?.split_once("\"]="));
    entries.map(|(command, _)| format!("{stand_in} {command}")).collect()
}

#[tokio::test]
async fn every_command_in_the_documents_runs_and_every_account_is_of_one() {
    let (mut used, mut accounted) = (BTreeSet::new(), BTreeSet::new());
    for document in documents() {
        if document.commands().is_ok_and(|commands| commands.is_empty()) {
            continue;
        }
        let Document { name, text } = document;
        let done = run(&name, &text, &mut used).await;
        assert!(done.succeeded && done.refused.is_empty(), "{name}: {}\n{}", done.refused, done.told);
        accounted.extend(done.accounted);
    }
    assert_eq!(used, REPLACED.iter().map(|(line, ..)| *line).collect());
    assert_eq!(accounted, STAND_INS.iter().flat_map(|name| accounts(name)).collect());
}

#[tokio::test]
async fn a_newcomer_gets_from_nothing_to_a_running_timer_in_under_ten_commands() {
    let readme = Document::named("README.md");
    let first_run =
        ["Two commands", "First run, without Azure"].map(|heading| readme.section(heading)).concat();
    let count: usize =
        commands(&first_run).expect("commands").iter().map(|line| line.split(" && ").count()).sum();
    assert!((4..10).contains(&count), "{count} commands");

    let done = run("README.md", &first_run, &mut BTreeSet::new()).await;
    assert!(done.succeeded && done.refused.is_empty(), "{}\n{}", done.refused, done.told);
    let all = BTreeSet::from(CHECKS);
    let told = |result: &str| {
        let lines = done.told.lines().filter_map(|line| line.strip_prefix(result)?.split_whitespace().next());
        lines.filter(|check| all.contains(check)).collect::<BTreeSet<_>>()
    };
    assert_eq!((told("ok "), told("warning "), told("failure ")), (all.clone(), [].into(), [].into()));
    assert!(!done.told.contains("Signaling restart"), "{}", done.told);
    // Two ticks of the timer; what they sent was seen in the table by the stand-in for cargo.
    let runs: Vec<&str> = done.told.lines().filter(|line| line.contains("run result=ok")).collect();
    assert!(runs.len() == 2 && runs[0].contains(" sent=20"), "{}", done.told);
}

#[tokio::test]
async fn a_command_that_is_wrong_or_unaccounted_for_is_told() {
    let stage = stage().await;
    for (commands, told) in [
        ("mdatp-forward fly", "mdatp-forward fly"),
        ("mdatp-forward check --sned", "--sned"),
        ("kubectl apply", "kubectl"),
        ("cargo publish && echo done", "cargo publish"),
        ("cargo simulate", "cargo simulate"),
        ("func new", "func new"),
        ("git push origin main", "git push"),
        ("az group delete -n security", "az group delete -n security"),
        ("az deployment group create -g security --file deploy/azuredeploy.json", "(--file)"),
        ("az deployment group create -f deploy/azuredeploy.json", "no --resource-group"),
        ("az monitor data-collection rule show -g g -n mdatp-forward", "no command of the client"),
        ("az functionapp restart -n app", "no --resource-group"),
        (
            "az functionapp function keys list -g g -n app --function-name MdatpForward",
            "no key of MdatpForward",
        ),
        ("curl -X POST https://app.azurewebsites.net/api/alerts/now", "curl -X POST"),
        ("func azure functionapp publish app --custom --no-build", "no folder of a package"),
        ("az deployment group create -g security -f deploy/template.json", "no file deploy/template.json"),
        ("az deployment group create -g g -f deploy/azuredeploy.json -p plam=Flex", "no parameter plam"),
        ("az deployment group show -g g -n n --query properties.outputs.app.value", "properties.outputs.app"),
        ("az functionapp restart -g \"$GROUPS_NAME\" -n app", "GROUPS_NAME"),
        ("az rest --method put --body @none.json --url /subscriptions/s/x", "/subscriptions/s/x"),
        ("cd fuzz && cargo fuzz run page seeds/page_union", "cargo fuzz run page"),
    ] {
        let clone = Session::new().then(&AS_IN_README[..2], &[], &mut BTreeSet::new());
        let done = clone.then(&[commands], &[], &mut BTreeSet::new()).run(&stage).await;
        let all = format!("{}{}", done.refused, done.told);
        assert!((!done.succeeded || !done.refused.is_empty()) && all.contains(told), "{commands}: {done:#?}");
    }
    assert!(commands("```bash\nls\n```").expect_err("another name").contains("bash"));
}
