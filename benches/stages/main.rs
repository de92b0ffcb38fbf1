//! How fast each stage between a page of alerts and a post is, in bytes of input, beside its naive
//! counterpart and the raw limit: `cargo bench --bench stages`.

use std::hint::black_box;

mod input;
mod merge;
mod post;

fn main() {
    println!("{}", post::sizes());
    divan::main();
}
