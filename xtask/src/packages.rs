//! The programs the test suite needs beside Rust, and the Debian packages they come in.

use anyhow::bail;

use crate::run::{output, run_with, succeeds};

/// A program, how to see that it is there, and where it comes from.
struct Needed {
    /// Succeeds when the program is there.
    probe: &'static [&'static str],
    debian_packages: &'static [&'static str],
    why: &'static str,
}

const NEEDED: &[Needed] = &[Needed {
    probe: &["cc", "--version"],
    debian_packages: &["gcc", "libc6-dev"],
    why: "SQLite and the TLS library are compiled from C",
}];

/// Sees to it that everything needed is there. Installs what is missing when that is allowed and possible;
/// otherwise says what to install, and fails.
pub(crate) fn ensure(may_install: bool) -> anyhow::Result<()> {
    let missing: Vec<&Needed> = NEEDED.iter().filter(|needed| !succeeds(needed.probe)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for needed in &missing {
        println!("missing: {} ({})", needed.probe[0], needed.why);
    }
    let packages: Vec<&str> = missing.iter().flat_map(|needed| needed.debian_packages).copied().collect();
    let install = [&["apt-get", "install", "-y", "--no-install-recommends"], packages.as_slice()].concat();
    let able = is_root() && succeeds(&["apt-get", "--version"]);
    if !(may_install && able) {
        bail!("as root, run:\n  apt-get update && {}", install.join(" "));
    }
    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
    run_with(&["apt-get", "update"], &quiet)?;
    run_with(&install, &quiet)?;
    match missing.iter().find(|needed| !succeeds(needed.probe)) {
        Some(needed) => bail!("{} is still missing after its package was installed", needed.probe[0]),
        None => Ok(()),
    }
}

fn is_root() -> bool {
    output(&["id", "-u"]).is_ok_and(|id| id.trim() == "0")
}
