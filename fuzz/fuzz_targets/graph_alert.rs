#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::graph_alert::holds(input));
