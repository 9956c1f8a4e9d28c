//! Compares the declared metrics with the page that lists them.

use std::collections::BTreeSet;

use super::declaration::Description;

/// What a metric's name starts with.
const PREFIX: &str = "onhand_";

/// What is wrong between the page (`docs/telemetry.md`) and the declarations: names that only one of them has, and
/// names against the rules. Empty when they agree. A name counts as listed when the page has it in backticks.
pub fn catalogue_differences(page: &str, declared: &[Description]) -> Vec<String> {
    let listed: BTreeSet<&str> =
        page.split('`').skip(1).step_by(2).filter(|word| word.starts_with(PREFIX)).collect();
    let names: BTreeSet<&str> = declared.iter().map(|description| description.name).collect();
    let missing = names.difference(&listed).map(|name| format!("{name} is not listed"));
    let gone = listed.difference(&names).map(|name| format!("{name} is listed but no longer exists"));
    let misnamed = declared.iter().filter_map(|description| {
        let is_counter = matches!(description.kind, super::MetricKind::Counter);
        let well_named =
            description.name.starts_with(PREFIX) && description.name.ends_with("_total") == is_counter;
        (!well_named).then(|| {
            format!(
                "{} must start with {PREFIX} and end with _total if and only if it is a counter",
                description.name
            )
        })
    });
    missing.chain(gone).chain(misnamed).collect()
}
