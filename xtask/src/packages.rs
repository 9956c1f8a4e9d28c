//! The programs the test suite needs beside Rust, and the Debian packages they come in.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, bail};

use crate::run::{output, run_with, succeeds};

/// Asked by Debian's packages before they start what they installed.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// "Not allowed", in its language.
const POLICY_DENIES: &str = "#!/bin/sh\nexit 101\n";

/// A program, how to see that it is there, and where it comes from.
struct Needed {
    name: &'static str,
    /// Succeeds when the program is there.
    probe: &'static [&'static str],
    debian_packages: &'static [&'static str],
    why: &'static str,
}

const NEEDED: &[Needed] = &[
    Needed {
        name: "cc",
        probe: &["cc", "--version"],
        debian_packages: &["gcc", "libc6-dev"],
        why: "SQLite and the TLS library are compiled from C",
    },
    Needed {
        name: "RabbitMQ",
        probe: &["sh", "-c", "ls /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"],
        debian_packages: &["rabbitmq-server"],
        why: "tests start brokers of their own; the system's service is not needed",
    },
    Needed {
        name: "PostgreSQL",
        probe: &["sh", "-c", "ls /usr/lib/postgresql/*/bin/postgres"],
        debian_packages: &["postgresql"],
        why: "tests start databases of their own; the system's service is not needed",
    },
];

/// Sees to it that everything needed is there. Installs what is missing when that is allowed and possible;
/// otherwise says what to install, and fails.
pub(crate) fn ensure(may_install: bool) -> anyhow::Result<()> {
    let missing: Vec<&Needed> = NEEDED.iter().filter(|needed| !succeeds(needed.probe)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for needed in &missing {
        println!("missing: {} ({})", needed.name, needed.why);
    }
    let packages: Vec<&str> = missing.iter().flat_map(|needed| needed.debian_packages).copied().collect();
    let install = [&["apt-get", "install", "-y", "--no-install-recommends"], packages.as_slice()].concat();
    let able = is_root() && succeeds(&["apt-get", "--version"]);
    if !(may_install && able) {
        bail!("as root, run:\n  apt-get update && {}", install.join(" "));
    }
    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
    run_with(&["apt-get", "update"], &quiet)?;
    let unstarted = Unstarted::from_now_on().with_context(|| format!("cannot write {POLICY}"))?;
    run_with(&install, &quiet)?;
    drop(unstarted);
    match missing.iter().find(|needed| !succeeds(needed.probe)) {
        Some(needed) => bail!("{} is still missing after its package was installed", needed.name),
        None => Ok(()),
    }
}

/// While it lives, packages do not start services: nobody asked for a broker and a database on this machine.
struct Unstarted {
    /// There was no policy before; otherwise whoever made it decides.
    ours: bool,
}

impl Unstarted {
    fn from_now_on() -> io::Result<Self> {
        let ours = !Path::new(POLICY).exists();
        if ours {
            fs::write(POLICY, POLICY_DENIES)?;
            fs::set_permissions(POLICY, Permissions::from_mode(0o755))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        if self.ours && fs::remove_file(POLICY).is_err() {
            println!("remove {POLICY}: while it is there, no package starts its service");
        }
    }
}

fn is_root() -> bool {
    output(&["id", "-u"]).is_ok_and(|id| id.trim() == "0")
}
