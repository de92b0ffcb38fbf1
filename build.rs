//! Has the linker put side by side what runs until the first answer: see deploy/start.ld.

use std::env::var_os;

fn main() {
    println!("cargo::rerun-if-changed=deploy/start.ld");
    let is = |name, wanted| var_os(name).is_some_and(|value| value == wanted);
    // A linker that somebody has chosen (mold, say) may not take scripts for it.
    let is_chosen =
        var_os("CARGO_ENCODED_RUSTFLAGS").is_some_and(|flags| flags.to_string_lossy().contains("fuse-ld"));
    if is("CARGO_CFG_TARGET_OS", "linux") && is("PROFILE", "release") && !is_chosen {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/deploy/start.ld", env!("CARGO_MANIFEST_DIR"));
    }
}
