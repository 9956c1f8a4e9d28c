//! Who may depend on what, read from the manifests. A dependency edge is a decision; this is where it is written.

use anyhow::Context;
use serde_json::Value;

use crate::run::output;

/// A library only these packages may use. A `*` at the end stands for any ending.
struct Fence {
    library: &'static str,
    only: &'static [&'static str],
    /// These may use it in their tests.
    in_tests: &'static [&'static str],
    why: &'static str,
}

const FENCES: &[Fence] = &[
    Fence {
        library: "lapin",
        only: &["onhand-bus"],
        // Measured beside the library alone.
        in_tests: &["onhand-ingress", "onhand"],
        why: "the transport can be exchanged",
    },
    Fence {
        library: "sqlx",
        only: &["onhand-store", "onhand-spool"],
        // Its bench writes raw rows beside what it measures.
        in_tests: &["onhand-inventory"],
        why: "who writes which table is decided in one place",
    },
    Fence {
        library: "reqwest",
        only: &["onhand-connector-*", "onhand-notices", "onhand-testkit", "onhand-tests", "onhand"],
        in_tests: &["onhand-inventory"],
        why: "calls to shops are paced, timed out and signed by their connector",
    },
    Fence {
        library: "lettre",
        only: &["onhand-notices"],
        in_tests: &[],
        why: "who is told of what is decided elsewhere",
    },
];

/// A package that may use only these libraries, its tests aside: it has no I/O, clock, randomness or wire format.
struct Pure {
    package: &'static str,
    may_use: &'static [&'static str],
}

const PURE: &[Pure] = &[
    Pure { package: "onhand-ledger", may_use: &["onhand-values", "siphasher"] },
    Pure { package: "onhand-push", may_use: &["onhand-values"] },
];

/// Names that collect what has no home.
const NAMES_BANNED: &[&str] = &["common", "shared", "util", "utils", "helper", "helpers", "misc"];

/// The one package below `services/` that is put together from the others.
const COMPOSITION: &str = "onhand";

/// What is looked at of a package.
#[derive(Debug)]
struct Package {
    name: String,
    is_service: bool,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    is_service: bool,
    only_for_tests: bool,
}

impl Fence {
    fn lets(&self, package: &str, only_for_tests: bool) -> bool {
        let tests = self.in_tests.iter().filter(|_| only_for_tests);
        self.only.iter().chain(tests).any(|only| matches(only, package))
    }
}

pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let metadata = output(&["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"])?;
    let metadata: Value =
        serde_json::from_str(&metadata).context("cannot read what `cargo metadata` wrote")?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    Ok(packages.iter().map(package).flat_map(|package| check_package(&package)).collect())
}

fn check_package(package: &Package) -> Vec<String> {
    let name = &package.name;
    let mut violations = Vec::new();
    if NAMES_BANNED.contains(&name.strip_prefix("onhand-").unwrap_or(name)) {
        violations.push(format!("{name}: name a package for what it can do"));
    }
    for dependency in &package.dependencies {
        let library = &dependency.name;
        let fences = FENCES.iter().filter(|fence| fence.library == library);
        violations.extend(fences.filter(|fence| !fence.lets(name, dependency.only_for_tests)).map(|fence| {
            format!("{name} depends on {library}, which only {} may: {}", fence.only.join(", "), fence.why)
        }));
        let pure = PURE.iter().find(|pure| pure.package == name && !dependency.only_for_tests);
        if pure.is_some_and(|pure| !pure.may_use.contains(&library.as_str())) {
            violations
                .push(format!("{name} depends on {library}, but it is pure: no I/O, clock or wire format"));
        }
        let may_use_services = name == COMPOSITION || name == "onhand-tests";
        if dependency.is_service && !may_use_services {
            let who = if package.is_service { "services do not depend on services" } else { "crates do not" };
            violations
                .push(format!("{name} depends on the service {library}: {who}, they exchange messages"));
        }
    }
    violations
}

fn package(package: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    Package {
        name: text(&package["name"]),
        is_service: text(&package["manifest_path"]).contains("/services/"),
        dependencies: dependencies
            .map(|dependency| Dependency {
                name: text(&dependency["name"]),
                is_service: text(&dependency["path"]).contains("/services/"),
                only_for_tests: dependency["kind"] == "dev",
            })
            .collect(),
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, dependency: &str, kind: &str, expected: Option<&str>) {
        let is_service = |name: &str| ["ingress", "egress"].iter().any(|service| name.ends_with(service));
        let place = |name: &str| if is_service(name) { "/r/services/x" } else { "/r/crates/x" };
        let manifest = serde_json::json!({
            "name": name,
            "manifest_path": place(name),
            "dependencies": [{ "name": dependency, "path": place(dependency), "kind": kind }],
        });
        let violations = check_package(&package(&manifest));
        assert_eq!(violations.is_empty(), expected.is_none(), "{violations:?}");
        assert!(expected.is_none_or(|expected| violations[0].contains(expected)), "{violations:?}");
    }

    #[test]
    fn libraries_stay_behind_their_fences() {
        check("onhand-bus", "lapin", "", None);
        check("onhand-ingress", "lapin", "dev", None);
        check("onhand-ingress", "lapin", "", Some("which only onhand-bus may"));
        check("onhand-ingress", "sqlx", "dev", Some("which only onhand-store, onhand-spool may"));
        check("onhand-connector-woocommerce", "reqwest", "", None);
        check("onhand-connector", "reqwest", "", Some("which only"));
        check("onhand-inventory", "reqwest", "dev", None);
        check("onhand-inventory", "reqwest", "", Some("which only"));
    }

    #[test]
    fn pure_packages_stay_pure_but_their_tests_may_use_more() {
        check("onhand-ledger", "onhand-values", "", None);
        check("onhand-ledger", "proptest", "dev", None);
        check("onhand-ledger", "serde", "", Some("it is pure"));
        check("onhand-push", "siphasher", "", Some("it is pure"));
    }

    #[test]
    fn services_meet_only_in_messages() {
        check("onhand-egress", "onhand-ingress", "", Some("services do not depend on services"));
        check("onhand-bus", "onhand-ingress", "dev", Some("crates do not"));
        check("onhand", "onhand-ingress", "", None);
    }

    #[test]
    fn names_say_what_a_package_can_do() {
        check("onhand-utils", "anyhow", "", Some("name a package"));
    }
}
