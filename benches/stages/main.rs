//! How fast each stage between a page of alerts and a request body is, in bytes of input, beside its naive counterpart
//! and the limit of the hardware: `cargo bench --bench stages`.

use std::hint::black_box;

mod input;
mod merge;
mod post;

fn main() {
    println!("{}", post::sizes());
    divan::main();
}
