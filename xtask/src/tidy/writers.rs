//! Only inventory writes orders, ledger, levels and registry: the other services do not even name the calls that do, and the
//! statements of each owner stand in files of its own.

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
    "set_matches_names",
    "name_skus",
    "mark_published",
    "save_alerts",
    "acknowledge_alert",
    "take_alert_turn",
    "end_alert_turn",
    "notice_sent",
    "notice_failed",
    "prune_alerts",
    "report_shipment_again",
    "shipments_published",
    "publish_again",
    "wishes_done",
];

/// Where the statements are.
const BACKENDS: &[&str] = &["crates/store/src/sqlite", "crates/store/src/postgres"];

/// Files named for an owner other than inventory; what else there is, is inventory's.
const OWNERS: &[&str] = &["egress", "ingress", "shards"];

/// Inventory's tables, and the registry's, which are inventory's too; on PostgreSQL both are in one schema.
const INVENTORYS: &[&str] = &["inventory", "registry"];

/// Files that may write to everybody's tables, each with the reason.
const ALL_OWNERS: &[(&str, &str)] = &[
    ("epoch.rs", "after a restore nobody else is at work, and all of it belongs together"),
    ("returning.rs", "a shop that comes back is read from the start in the same moment"),
];

pub(super) fn check(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    for path in files.iter().filter(|path| READERS.iter().any(|reader| path.starts_with(reader))) {
        let full = root.join(path);
        let text =
            std::fs::read_to_string(&full).with_context(|| format!("cannot read {}", full.display()))?;
        violations.extend(check_file(path, &text));
    }
    for path in files.iter().filter(|path| BACKENDS.iter().any(|backend| path.starts_with(backend))) {
        let full = root.join(path);
        let text =
            std::fs::read_to_string(&full).with_context(|| format!("cannot read {}", full.display()))?;
        violations.extend(check_statements(path, &text));
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

fn check_statements(path: &Path, text: &str) -> Vec<String> {
    if ALL_OWNERS.iter().any(|(file, _)| path.ends_with(file)) {
        return Vec::new();
    }
    let below = BACKENDS.iter().find_map(|backend| path.strip_prefix(backend).ok()).unwrap_or(path);
    let first = below.iter().next().map(|name| name.to_string_lossy()).unwrap_or_default();
    let owner = OWNERS.iter().copied().find(|owner| first.starts_with(owner));
    let may_write = |table: &str| {
        let schema = table.split(['_', '.']).next().unwrap_or_default();
        owner.map_or_else(|| INVENTORYS.contains(&schema), |owner| schema == owner)
    };
    let foreign = written_tables(text).filter(|table| !may_write(table));
    let owner = owner.unwrap_or("inventory");
    foreign.map(|table| format!("{}: writes {table}, which is not {owner}'s", path.display())).collect()
}

/// The tables that statements insert into, update, or delete from.
fn written_tables(text: &str) -> impl Iterator<Item = &str> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || "\"();,".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let mut tables = Vec::new();
    for (index, window) in words.windows(3).enumerate() {
        let before = index.checked_sub(1).and_then(|before| words.get(before)).copied().unwrap_or_default();
        match window {
            ["INSERT", "INTO", table] | ["DELETE", "FROM", table] => tables.push(*table),
            // `DO UPDATE SET`, `FOR UPDATE OF`, `FOR NO KEY UPDATE`, `BEFORE UPDATE ON` name no table.
            ["UPDATE", table, _] if !["DO", "FOR", "KEY", "BEFORE"].contains(&before) => tables.push(*table),
            _ => {}
        }
    }
    tables.into_iter()
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
    fn statements_stand_in_the_files_of_their_owner() {
        let check = |path: &str, text: &str| check_statements(Path::new(path), text).len();
        let upsert = "INSERT INTO egress.stocks AS s (shop) VALUES ($1) ON CONFLICT DO UPDATE SET shop = $1";
        assert_eq!(check("crates/store/src/postgres/egress/notes.rs", upsert), 0);
        assert_eq!(check("crates/store/src/postgres/outbox.rs", upsert), 1);
        assert_eq!(check("crates/store/src/postgres/ingress_tasks.rs", upsert), 1);
        assert_eq!(check("crates/store/src/postgres/epoch.rs", upsert), 0);
        let others = [
            ("\"DELETE FROM inventory.outbox WHERE shop = $1\"", 0, 1),
            ("WITH x AS (UPDATE registry_shops SET name = ?1)", 0, 1),
            ("SELECT id FROM egress.stocks FOR NO KEY UPDATE OF e", 0, 0),
            ("UPDATE ingress_cursors SET page = 1", 1, 1),
        ];
        for (sql, by_inventory, by_egress) in others {
            assert_eq!(check("crates/store/src/sqlite/registry.rs", sql), by_inventory, "{sql}");
            assert_eq!(check("crates/store/src/sqlite/egress.rs", sql), by_egress, "{sql}");
        }
    }

    #[test]
    fn every_call_is_one_of_the_store() {
        let store = crate::root::root().join("crates/store/src/store.rs");
        let text = std::fs::read_to_string(store).unwrap();
        let gone: Vec<_> = WRITES.iter().filter(|write| !text.contains(&format!("fn {write}("))).collect();
        assert!(gone.is_empty(), "{gone:?} are gone: the rule watches nothing");
    }
}
