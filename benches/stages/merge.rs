//! From the bytes of a page to the bytes of its records.

use divan::{Bencher, counter::BytesCount};
use mdatp_forward::testing::{
    Page, Shape,
    graph::{DevicePlace, translated_page},
    merge,
};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{
    black_box,
    input::{INPUT, Input},
};

fn bench<T>(bencher: Bencher<'_, '_>, work: impl Fn(&Input) -> T + Sync) {
    let input = &*INPUT;
    bencher.counter(BytesCount::new(input.page.len())).bench(|| work(black_box(input)));
}

#[divan::bench]
fn limit_memcpy(bencher: Bencher<'_, '_>) {
    bench(bencher, |input| input.page.to_vec());
}

#[divan::bench]
fn limit_validity_alone(bencher: Bencher<'_, '_>) {
    bench(bencher, |input| serde_json::from_slice::<IgnoredAny>(&input.page).is_ok());
}

#[divan::bench]
fn page_split(bencher: Bencher<'_, '_>) {
    bench(bencher, |input| Page::parse(&input.page, None));
}

#[divan::bench]
fn page_split_naive(bencher: Bencher<'_, '_>) {
    bench(bencher, |input| serde_json::from_slice::<Value>(&input.page));
}

/// Writes the records of a page.
fn write_records(input: &Input, page: &Page, mut write: impl FnMut(mdatp_forward::testing::Object<'_>)) {
    for alert in page.elements.iter().flatten() {
        let machine = alert.machine_id.as_ref().and_then(|id| input.machines.get(id));
        write(merge(alert.object().expect("an object"), machine, None));
    }
}

#[divan::bench]
fn union_alone(bencher: Bencher<'_, '_>) {
    let page = Page::parse(&INPUT.page, None).expect("a page");
    bench(bencher, |input| {
        let mut out = Vec::with_capacity(input.page.len() * 2);
        write_records(input, &page, |record| record.append_to(&mut out));
        out
    });
}

/// Measures work that writes to a reused buffer, as in a run.
fn bench_into(bencher: Bencher<'_, '_>, mut work: impl FnMut(&Input, &mut Vec<u8>)) {
    let (input, mut out) = (&*INPUT, Vec::new());
    bencher.counter(BytesCount::new(input.page.len())).bench_local(|| {
        out.clear();
        work(black_box(input), &mut out);
    });
}

#[divan::bench]
fn page_to_records(bencher: Bencher<'_, '_>) {
    bench_into(bencher, |input, out| {
        let page = Page::parse(&input.page, None).expect("a page");
        write_records(input, &page, |record| record.append_to(out));
    });
}

#[divan::bench]
fn page_to_records_naive(bencher: Bencher<'_, '_>) {
    bench_into(bencher, |input, out| {
        for record in naive_records(input) {
            serde_json::to_writer(&mut *out, &record).expect("memory takes all");
        }
    });
}

#[divan::bench(args = [Shape::Union, Shape::Native, Shape::Classic])]
fn page_to_shape(bencher: Bencher<'_, '_>, shape: Shape) {
    bench(bencher, |input| {
        let page = Page::parse(&input.page, None).expect("a page");
        let mut length = 0;
        write_records(input, &page, |record| length += black_box(shape.write(&record)).text.len());
        length
    });
}

/// The same alerts in Graph's form, which is longer: to be compared by the time, not by the bytes a second.
#[divan::bench]
fn graph_page_split(bencher: Bencher<'_, '_>) {
    bench(bencher, |input| {
        translated_page(Page::parse(&input.graph, None).expect("a page"), DevicePlace::Machine)
    });
}

#[divan::bench(args = [Shape::Union, Shape::Native, Shape::Classic])]
fn graph_page_to_shape(bencher: Bencher<'_, '_>, shape: Shape) {
    bench(bencher, |input| {
        let page = Page::parse(&input.graph, None).expect("a page");
        let page = translated_page(page, DevicePlace::Machine);
        let mut length = 0;
        for alert in page.elements.iter().flatten() {
            let record = merge(alert.object().expect("an object"), alert.machine.as_deref(), None);
            length += black_box(shape.write(&record)).text.len();
        }
        length
    });
}

/// Makes the records of the page by `serde_json`, without optimization but without waste.
pub fn naive_records(input: &Input) -> Vec<Value> {
    let mut page: Value = serde_json::from_slice(&input.page).expect("JSON");
    let Value::Array(mut alerts) = page["value"].take() else { panic!("no list") };
    for alert in &mut alerts {
        let machine = alert["machineId"].as_str().and_then(|id| input.values.get(id));
        let record = alert.as_object_mut().expect("an object");
        for (name, value) in machine.and_then(Value::as_object).into_iter().flatten() {
            match record.get(name) {
                _ if name == "id" => {}
                Some(known) if known == value => {}
                Some(_) => drop(record.insert(format!("machine{name}"), value.clone())),
                None => drop(record.insert(name.clone(), value.clone())),
            }
        }
    }
    alerts
}
