//! The test environment, without which figures mean nothing.

use azure_core::time::to_rfc3339;
use simulator::clock;

/// The date, the number of processors and their model, on one line.
pub(crate) fn describe() -> String {
    let date = to_rfc3339(&clock::now());
    let date = date.split('T').next().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    format!("{date}, {cores} cores, {}", model(&cpuinfo).unwrap_or("unknown processor"))
}

fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_model_is_found() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: A Processor @ 2.00GHz\n";
        assert_eq!(model(cpuinfo), Some("A Processor @ 2.00GHz"));
        assert_eq!(model(""), None);
    }
}
