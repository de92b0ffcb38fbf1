//! The package as it is deployed, plain, with the function `MdatpNow`, and for many tenants: made by its one command,
//! unpacked into an empty folder, and started by the Functions host with nothing else beside it.
//!
//! Zig links it, which pip installs: `tests/run --test package` runs this, for minutes.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, sync::Arc, time::Duration};

use serde_json::{Value, json};
use simulator::{
    Cloud, Fleet, Ports, Route, Sink, Volume, clock,
    functions_host::{FunctionsHost, Payload, Start},
    queue::MemoryQueues,
};

/// The glibc of 2012, which every image of the platform is newer than.
const GLIBC: [u32; 2] = [2, 17];
const MOST_BYTES: u64 = 8_000_000;

/// What the plain package holds.
const FILES: [&str; 3] = ["MdatpForward/function.json", "host.json", "mdatp-forward"];

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs pip, Zig and zip: left to tests/run")]
async fn the_package_is_all_that_a_function_app_needs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    output(&mut Command::new(root.join("deploy/package.sh")));
    let package = root.join("dist/mdatp-forward.zip");

    let mut names: Vec<String> = lines(Command::new("unzip").arg("-Z1").arg(&package));
    names.sort_unstable();
    assert_eq!(names, FILES);

    // The same three lie in a folder, for the Functions Core Tools.
    assert_eq!(files(&root.join("dist/app")), FILES);

    let app = tempfile::tempdir().expect("a folder");
    output(Command::new("unzip").arg("-q").arg(&package).arg("-d").arg(app.path()));
    for name in ["host.json", "MdatpForward/function.json"] {
        let read = |folder: &Path| fs::read(folder.join(name)).expect(name);
        assert_eq!(read(app.path()), read(root), "{name}");
        assert_eq!(mode(&app.path().join(name)) & 0o111, 0, "{name}");
    }
    let binary = app.path().join("mdatp-forward");
    assert!(
        fs::read(&binary).expect("a file") == fs::read(root.join("dist/app/mdatp-forward")).expect("a file")
    );
    assert_eq!(mode(&binary) & 0o111, 0o111);
    assert_eq!(newer_than(GLIBC, &versions(&binary)), [""; 0]);
    assert_eq!(needed_beyond_glibc(&binary), [""; 0]);
    let bytes = fs::metadata(&binary).expect("the binary").len();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");

    one_tick(app.path()).await;

    // With --now it has one function more, and all else is the same.
    let plain = fs::read(&package).expect("the package");
    output(Command::new(root.join("deploy/package.sh")).arg("--now"));
    let with_now = tempfile::tempdir().expect("a folder");
    output(Command::new("unzip").arg("-q").arg(&package).arg("-d").arg(with_now.path()));
    let function = "MdatpNow/function.json";
    assert_eq!(files(with_now.path()), [FILES[0], function, FILES[1], FILES[2]]);
    assert_eq!(files(&root.join("dist/app")), files(with_now.path()));
    for name in FILES {
        let read = |folder: &Path| fs::read(folder.join(name)).expect(name);
        assert!(read(with_now.path()) == read(app.path()), "{name}");
        assert_eq!(mode(&with_now.path().join(name)), mode(&app.path().join(name)), "{name}");
    }
    let read = |path: &Path| fs::read(path).expect(function);
    assert_eq!(read(&with_now.path().join(function)), read(&root.join("deploy").join(function)));
    one_tick(with_now.path()).await;

    // The package for many tenants has the same binary, and everything else from its own folder.
    let own = [
        ("MdatpForward/function.json", "deploy/tenants/MdatpForward/function.json"),
        ("MdatpTenant/function.json", "deploy/tenants/MdatpTenant/function.json"),
        ("host.json", "deploy/tenants/host.json"),
        ("MdatpNow/function.json", "deploy/MdatpNow/function.json"),
    ];
    for (options, own) in [(&["--tenants"][..], &own[..3]), (&["--now", "--tenants"], &own)] {
        output(Command::new(root.join("deploy/package.sh")).args(options));
        let many = tempfile::tempdir().expect("a folder");
        output(Command::new("unzip").arg("-q").arg(&package).arg("-d").arg(many.path()));
        let mut names: Vec<&str> = own.iter().map(|(name, _)| *name).chain(["mdatp-forward"]).collect();
        names.sort_unstable();
        assert_eq!(files(many.path()), names);
        assert_eq!(files(&root.join("dist/app")), names);
        for (name, source) in own {
            let read = |path: &Path| fs::read(path).expect(name);
            assert_eq!(read(&many.path().join(name)), read(&root.join(source)), "{name}");
        }
        let read = |folder: &Path| fs::read(folder.join("mdatp-forward")).expect("the binary");
        assert!(read(many.path()) == read(app.path()), "another binary");
        one_tick_for_tenants(many.path()).await;
    }

    output(&mut Command::new(root.join("deploy/package.sh")));
    assert!(fs::read(&package).expect("the package") == plain, "made twice, the package differs");
}

/// From the folder alone to alerts that have arrived.
async fn one_tick(app: &Path) {
    let cloud = Cloud::new(5);
    let until = clock::now();
    let since = until - Duration::from_secs(3000);
    cloud.generate(&Volume { alerts: 200, machines: 20, since, until });
    let served = cloud.serve(Ports::Free).await.expect("the cloud listens");
    let state = tempfile::tempdir().expect("a folder");
    let mut settings = served.settings(Sink::DataCollector, Route::ManagedIdentity);
    settings.push(("MDATP_STATE".to_owned(), format!("file:{}", state.path().display())));

    let host = FunctionsHost::start(Start::new(app, settings)).await.expect("the handler starts");
    let invocation = host.fire(Payload::FirstRun).await;
    assert!(invocation.succeeded(), "{invocation:#?}");
    assert_eq!(invocation.report["alertsSent"], 200);
    let sent: Vec<Value> = cloud
        .received()
        .iter()
        .flat_map(|post| &post.records)
        .map(|record| serde_json::from_str(record).expect("a record"))
        .collect();
    assert_eq!(sent.len(), 200);
}

/// From the folder alone, by the queue, to the alerts of two tenants that have arrived.
async fn one_tick_for_tenants(app: &Path) {
    let fleet = Fleet::new(5, 2);
    let until = clock::now();
    let since = until - Duration::from_secs(3000);
    for customer in fleet.customers() {
        fleet.cloud(&customer.id).generate(&Volume { alerts: 100, machines: 10, since, until });
    }
    let served = fleet.serve(Ports::Free).await.expect("the clouds listen");
    let state = tempfile::tempdir().expect("a folder");
    let entries: Vec<Value> =
        fleet.customers().iter().map(|customer| served.endpoints().entry(customer)).collect();
    let list = json!({"version": 1, "tenants": entries}).to_string();
    fs::write(state.path().join("tenants.json"), list).expect("written");
    let mut settings = served.settings_for_tenants();
    settings.push(("MDATP_STATE".to_owned(), format!("file:{}", state.path().display())));
    settings.push(("MDATP_SCHEDULE".to_owned(), "0 */5 * * * *".to_owned()));

    let start = Start::new(app, settings).queues(Arc::new(MemoryQueues::default()));
    let host = FunctionsHost::start(start).await.expect("the handler starts");
    let invocation = host.fire(Payload::FirstRun).await;
    assert!(invocation.succeeded(), "{invocation:#?}");
    let records = || fleet.customers().iter().map(|customer| fleet.cloud(&customer.id).counts().records);
    let arrived = async {
        while records().any(|records| records < 100) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), arrived).await.expect("the alerts of both tenants");
    assert_eq!(records().collect::<Vec<_>>(), [100, 100]);
}

#[test]
fn a_newer_glibc_is_told() {
    let versions = ["GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.18", "GLIBC_3.0", "GCC_3.0"].map(str::to_owned);
    assert_eq!(newer_than(GLIBC, &versions), ["GLIBC_2.18", "GLIBC_3.0"]);
}

/// The versions of symbols that the dynamic linker has to find.
fn versions(binary: &Path) -> Vec<String> {
    let lines = lines(Command::new("readelf").args(["--version-info", "--wide"]).arg(binary));
    let versions: Vec<String> = lines
        .iter()
        .filter_map(|line| line.split_once("Name: ")?.1.split_whitespace().next().map(str::to_owned))
        .collect();
    assert!(versions.iter().any(|version| version.starts_with("GLIBC_")), "{lines:#?}");
    versions
}

fn newer_than(glibc: [u32; 2], versions: &[String]) -> Vec<&str> {
    let is_newer = |version: &&str| {
        let Some(numbers) = version.strip_prefix("GLIBC_") else { return false };
        let numbers: Vec<u32> = numbers.split('.').map(|n| n.parse().expect("a number")).collect();
        numbers[..2] > glibc[..]
    };
    versions.iter().map(String::as_str).filter(is_newer).collect()
}

/// Libraries that an image may lack.
fn needed_beyond_glibc(binary: &Path) -> Vec<String> {
    let glibc =
        ["libc.so", "libm.so", "libpthread.so", "libdl.so", "librt.so", "libutil.so", "ld-linux-x86-64.so"];
    lines(Command::new("readelf").args(["--dynamic", "--wide"]).arg(binary))
        .iter()
        .filter_map(|line| Some(line.split_once("Shared library: [")?.1.trim_end_matches(']').to_owned()))
        .filter(|library| !glibc.iter().any(|name| library.starts_with(name)))
        .collect()
}

/// The files below a folder, by name.
fn files(folder: &Path) -> Vec<String> {
    let mut files =
        lines(Command::new("find").args([".", "-type", "f", "-printf", "%P\n"]).current_dir(folder));
    files.sort_unstable();
    files
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode()
}

fn lines(command: &mut Command) -> Vec<String> {
    String::from_utf8(output(command)).expect("text").lines().map(str::to_owned).collect()
}

#[track_caller]
fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    output.stdout
}
