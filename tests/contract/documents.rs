//! The documents that are made from the code, or list what is in it, agree with it.

use std::path::{Path, PathBuf};

use process::config::{Group, document};
use process::metrics::{Description, catalogue_differences};

/// Every setting of every service.
pub(crate) const GROUPS: &[Group] = &[
    process::Settings::GROUP,
    onhand::STANDALONE_GROUP,
    onhand::DISTRIBUTED_GROUP,
    onhand::CONNECTION_GROUP,
    process::CallBudget::GROUP,
    ingress::GROUP,
    inventory::Settings::GROUP,
    inventory::AlertSettings::GROUP,
    notices::Channels::GROUP,
    egress::Settings::GROUP,
];

/// Every metric of every service.
const METRICS: &[&[Description]] = &[
    process::serve::METRICS,
    ingress::METRICS,
    inventory::METRICS,
    inventory::api::METRICS,
    egress::METRICS,
];

pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the package lies in the workspace").to_path_buf()
}

/// Compares the file with `expected`, or writes it for `cargo xtask docs`.
fn check(path: &str, expected: &str) {
    let path = root().join(path);
    #[expect(clippy::disallowed_methods, reason = "a switch of this test, not a setting of a process")]
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    if update {
        std::fs::write(&path, expected).expect("the document can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} is out of date; run `cargo xtask docs`", path.display());
}

#[test]
fn the_configuration_page_is_what_the_code_declares() {
    check("docs/configuration.md", &document::configuration_page(GROUPS));
}

#[test]
fn the_example_environment_is_what_the_code_declares() {
    check(".env.example", &document::env_example(GROUPS));
}

#[test]
fn every_metric_is_listed() {
    let page = std::fs::read_to_string(root().join("docs/telemetry.md")).unwrap();
    assert_eq!(catalogue_differences(&page, &METRICS.concat()), Vec::<String>::new());
}
