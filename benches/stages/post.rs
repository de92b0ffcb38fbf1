//! From the bytes of records to a request body: packed, signed or compressed.

use std::{io::Write, sync::LazyLock, time::Instant};

use divan::{Bencher, counter::BytesCount};
use flate2::{Compression, write::GzEncoder};
use hmac::{Hmac, KeyInit, Mac};
use mdatp_forward::testing::{Ack, Batch, Fingerprint, Packer, Page, SigningKey, merge};
use sha2::Sha256;
use simulator::tenant;

use crate::{black_box, input::INPUT, merge::naive_records};

/// The largest request body of the Logs Ingestion API, in bytes.
const POST: usize = 1_000_000;

static RECORDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let page = Page::parse(&INPUT.page, None).expect("a page");
    let machine = |id: &Option<String>| id.as_ref().and_then(|id| INPUT.machines.get(id));
    let alerts = page.elements.iter().flatten();
    let record = |alert: &mdatp_forward::testing::Alert| {
        merge(alert.object().expect("an object"), machine(&alert.machine_id), None).to_json()
    };
    alerts.map(record).collect()
});

static BODY: LazyLock<Vec<u8>> = LazyLock::new(|| pack(&RECORDS)[0].body.to_vec());

fn pack(records: &[Vec<u8>]) -> Vec<Batch> {
    let ack = Ack::of(Fingerprint([0; Fingerprint::BYTES]));
    let mut packer = Packer::new(POST, POST);
    let mut batches = Vec::new();
    for record in records {
        batches.extend(packer.push(record, ack).expect("it fits"));
    }
    batches.extend(packer.take());
    batches
}

#[divan::bench]
fn packing(bencher: Bencher<'_, '_>) {
    let bytes: usize = RECORDS.iter().map(Vec::len).sum();
    bencher.counter(BytesCount::new(bytes)).bench(|| pack(black_box(&RECORDS)));
}

#[divan::bench]
fn packing_naive(bencher: Bencher<'_, '_>) {
    let records = naive_records(&INPUT);
    let bytes: usize = RECORDS.iter().map(Vec::len).sum();
    let bench = bencher.counter(BytesCount::new(bytes));
    bench.bench(|| serde_json::to_vec(black_box(&records)));
}

/// The length and the date are signed, not the body, so this takes the same time for any body.
#[divan::bench]
fn signing() -> String {
    static KEY: LazyLock<SigningKey> =
        LazyLock::new(|| SigningKey::from_base64(tenant::WORKSPACE_KEY).expect("a key"));
    let date = "Fri, 20 Nov 2026 09:14:27 GMT";
    KEY.authorization(black_box(tenant::WORKSPACE_ID), black_box(POST), black_box(date))
}

#[divan::bench]
fn limit_hmac(bencher: Bencher<'_, '_>) {
    let key = Hmac::<Sha256>::new_from_slice(b"key").expect("any key will do");
    let body = &*BODY;
    bencher.counter(BytesCount::new(body.len())).bench(|| {
        let mut mac = key.clone();
        mac.update(black_box(body));
        mac.finalize()
    });
}

#[divan::bench(args = [1, 2, 3, 4, 5, 6])]
fn gzip(bencher: Bencher<'_, '_>, level: u32) {
    let body = &*BODY;
    bencher.counter(BytesCount::new(body.len())).bench(|| compressed(black_box(body), level));
}

fn compressed(body: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::new(level));
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory takes all")
}

/// Reports the size of a body at each level of gzip: time alone does not decide.
pub fn sizes() -> String {
    let size = |level| {
        let start = Instant::now();
        let size = compressed(&BODY, level).len();
        format!("gzip level {level}: {} bytes become {size} in {:.1?}", BODY.len(), start.elapsed())
    };
    (1..=6).map(size).collect::<Vec<_>>().join("\n")
}
