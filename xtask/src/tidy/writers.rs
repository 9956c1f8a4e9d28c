//! Only inventory writes orders, ledger, levels and registry: the other services do not even name the calls that do.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// Services that read what inventory writes, and write only tables of their own.
const READERS: &[&str] = &["services/ingress/src", "services/egress/src"];

/// The calls of the store that write what is inventory's.
const WRITES: &[&str] = &[
    "begin_inventory",
    "add_warehouse",
    "add_shop",
    "change_shop",
    "activate_shop",
    "remove_shop",
    "set_shop_secrets",
    "create_token",
    "revoke_token",
    "map_stock",
    "mark_recompute",
    "mark_published",
];

pub(super) fn check(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    for path in files.iter().filter(|path| READERS.iter().any(|reader| path.starts_with(reader))) {
        let full = root.join(path);
        let text =
            std::fs::read_to_string(&full).with_context(|| format!("cannot read {}", full.display()))?;
        violations.extend(check_file(path, &text));
    }
    Ok(violations)
}

fn check_file(path: &Path, text: &str) -> Vec<String> {
    // Tests set up what a service finds.
    let is_tests = path.file_name().is_some_and(|name| name == "tests.rs");
    let code = if is_tests { "" } else { text.split("#[cfg(test)]").next().unwrap_or_default() };
    let named = WRITES.iter().filter(|write| code.contains(&format!(".{write}(")));
    named.map(|write| format!("{}: calls {write}, which is for inventory alone", path.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_inventory_writes_what_is_inventorys() {
        let check = |path: &str, text: &str| check_file(Path::new(path), text);
        let call = "store.begin_inventory().await?;\n";
        assert_eq!(
            check("services/egress/src/lane.rs", call),
            ["services/egress/src/lane.rs: calls begin_inventory, which is for inventory alone"]
        );
        assert!(check("services/egress/src/lane.rs", "store.begin_egress().await?;\n").is_empty());
        assert!(
            check("services/egress/src/lane.rs", &format!("#[cfg(test)]\nmod tests {{ {call} }}")).is_empty()
        );
    }

    #[test]
    fn every_call_is_one_of_the_store() {
        let store = crate::root::root().join("crates/store/src/store.rs");
        let text = std::fs::read_to_string(store).unwrap();
        let gone: Vec<_> = WRITES.iter().filter(|write| !text.contains(&format!("fn {write}("))).collect();
        assert!(gone.is_empty(), "{gone:?} are gone: the rule watches nothing");
    }
}
