//! The properties of the fuzz targets, checked for their seeds and for what they have found. Runs with any toolchain.

use std::{fs, path::Path};

#[path = "../fuzz/properties/lib.rs"]
mod properties;

/// Checks each document in `folder`; the last printed name is that of a document that fails.
fn each_in(folder: &str, holds: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        println!("{}", path.display());
        holds(&fs::read(&path).expect("a document"));
        count += 1;
    }
    assert!(count > 0, "nothing in {}", folder.display());
}

#[test]
fn invocation() {
    each_in("fuzz/seeds/invocation", properties::invocation::holds);
    each_in("tests/fixtures/host", properties::invocation::holds);
}

#[test]
fn page_union() {
    each_in("fuzz/seeds/page_union", properties::page_union::holds);
    each_in("tests/fixtures/defender", properties::page_union::holds);
}

#[test]
fn graph_alert() {
    each_in("fuzz/seeds/graph_alert", properties::graph_alert::holds);
    each_in("tests/fixtures/defender", properties::graph_alert::holds);
}

#[test]
fn truncate() {
    each_in("fuzz/seeds/truncate", properties::truncate::holds);
}

#[test]
fn connection_string() {
    each_in("fuzz/seeds/connection_string", properties::connection_string::holds);
}

#[test]
fn signing_key() {
    each_in("fuzz/seeds/signing_key", properties::signing_key::holds);
}

#[test]
fn retry_after() {
    each_in("fuzz/seeds/retry_after", properties::retry_after::holds);
}

#[test]
fn checkpoint() {
    each_in("fuzz/seeds/checkpoint", properties::checkpoint::holds);
}
