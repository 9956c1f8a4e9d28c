//! docker-compose.yml says what the program understands. There is no container here to try it in, so it is read.

use std::collections::BTreeMap;

use process::config::Kind;

use crate::documents::{GROUPS, root};

/// Our own processes and the command of each.
const PROCESSES: [(&str, &str); 4] = [
    ("migrate", r#"["migrate", "--admin-token-file", "/var/lib/onhand/keys/admin.token"]"#),
    ("ingress", r#"["serve", "ingress"]"#),
    ("inventory", r#"["serve", "inventory"]"#),
    ("egress", r#"["serve", "egress"]"#),
];
const SERVERS: [&str; 2] = ["rabbitmq", "postgres"];
/// What every process has to agree on.
const AGREED: [&str; 4] =
    ["ONHAND_DATABASE_URL_FILE", "ONHAND_BROKER_URL_FILE", "ONHAND_SECRET_KEY_FILE", "ONHAND_SHARDS"];

/// Values by path, as in `services/ingress/image`; the items of a list under its path with a number. Reads what this file
/// is written in: maps by indentation of two, lists of one line each, comments in lines of their own.
fn read(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut path: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        let content = line.trim_start();
        let depth = (line.len() - content.len()) / 2;
        assert!((line.len() - content.len()).is_multiple_of(2), "indented by two: {line}");
        path.truncate(depth);
        if let Some(item) = content.strip_prefix("- ") {
            let of = path.join("/");
            let number = found.keys().filter(|key: &&String| key.starts_with(&format!("{of}/"))).count();
            found.insert(format!("{of}/{number}"), item.trim_matches('"').to_owned());
            continue;
        }
        let (key, value) = content.split_once(':').expect("every line is an item, or a key with its value");
        path.push(key.to_owned());
        let before = found.insert(path.join("/"), value.trim().to_owned());
        assert_eq!(before, None, "said twice: {}", path.join("/"));
    }
    found
}

fn compose() -> BTreeMap<String, String> {
    read(&std::fs::read_to_string(root().join("docker-compose.yml")).expect("the file is there"))
}

#[test]
fn every_process_is_there_with_its_health_and_nothing_listens_outside() {
    let compose = compose();
    let said = |path: String| compose.get(&path).map(String::as_str);
    for (process, command) in PROCESSES {
        assert_eq!(said(format!("services/{process}/command")), Some(command));
        assert_eq!(said(format!("services/{process}/image")), Some("onhand"));
        let waits = if process == "migrate" { "rabbitmq" } else { "migrate" };
        assert!(said(format!("services/{process}/depends_on/{waits}/condition")).is_some(), "{process}");
    }
    let watched = SERVERS.into_iter().chain(PROCESSES.map(|(process, _)| process));
    for service in watched.filter(|service| *service != "migrate") {
        let test = said(format!("services/{service}/healthcheck/test")).unwrap_or_default();
        assert!(test.starts_with(r#"["CMD", "#), "{service}: {test}");
    }
    let ports: Vec<_> = compose.iter().filter(|(path, _)| path.contains("/ports/")).collect();
    assert_eq!(ports.len(), 2);
    assert!(ports.iter().all(|(_, port)| port.starts_with("127.0.0.1:")), "{ports:?}");
    assert!(said("services/rabbitmq/image".to_owned()).is_some_and(|image| image.starts_with("rabbitmq:4")));
}

#[test]
fn every_variable_is_a_setting_and_secrets_are_files() {
    let compose = compose();
    let declared: Vec<_> = GROUPS.iter().flat_map(|group| group.settings).collect();
    let variables = compose.iter().filter_map(|(path, value)| {
        let (service, name) = path.strip_prefix("services/")?.split_once("/environment/")?;
        name.starts_with("ONHAND_").then_some((service, name, value))
    });
    let mut agreed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (service, name, value) in variables {
        let setting = declared.iter().find(|setting| setting.name == name);
        let secret = declared.iter().find(|setting| {
            matches!(setting.kind, Kind::Secret) && name.strip_suffix("_FILE") == Some(setting.name)
        });
        assert!(setting.is_some() || secret.is_some(), "{service}: {name} is no setting");
        let plain = setting.is_some_and(|setting| matches!(setting.kind, Kind::Secret));
        assert!(!plain, "{service}: {name} is a secret; give it by a file");
        if let Some(file) = secret.and_then(|_| value.strip_prefix("/run/secrets/")) {
            assert!(compose.contains_key(&format!("secrets/{file}/file")), "{service}: {value} is not there");
        }
        if AGREED.contains(&name) {
            agreed.entry(name).or_default().push(value);
        }
    }
    for name in AGREED {
        let values = agreed.remove(name).unwrap_or_default();
        assert_eq!(values.len(), PROCESSES.len(), "every process is told {name}");
        assert!(values.iter().all(|value| *value == values[0]), "{name}: {values:?}");
    }
}

/// What inventory is to know of alerts reaches it, and what is secret of that is a file that can be filled in.
#[test]
fn whoever_is_to_be_told_of_alerts_can_be_set_up() {
    let compose = compose();
    let script = std::fs::read_to_string(root().join("deploy/compose/make-secrets.sh")).expect("it is there");
    let mounted: Vec<&String> = compose
        .iter()
        .filter(|(path, _)| path.starts_with("services/inventory/secrets/"))
        .map(|(_, name)| name)
        .collect();
    let alerts =
        GROUPS.iter().flat_map(|group| group.settings).filter(|s| s.name.starts_with("ONHAND_ALERT_"));
    let (mut told, mut secret) = (0, 0);
    for setting in alerts {
        let is_secret = matches!(setting.kind, Kind::Secret);
        let name = if is_secret { format!("{}_FILE", setting.name) } else { setting.name.to_owned() };
        let Some(value) = compose.get(&format!("services/inventory/environment/{name}")) else {
            assert!(!is_secret, "{name} is not passed");
            continue;
        };
        told += 1;
        // Blank is the same as absent.
        assert!(value.starts_with(&format!("${{{name}:-")), "{name}: {value}");
        if is_secret {
            secret += 1;
            let file = setting.name.trim_start_matches("ONHAND_").to_ascii_lowercase();
            assert!(mounted.contains(&&file), "{file}: {mounted:?}");
            let path = compose.get(&format!("secrets/{file}/file")).map(String::as_str);
            assert_eq!(path, Some(format!("./deploy/compose/secrets/{file}").as_str()));
            assert!(script.contains(&file), "{file} is not made");
        }
    }
    assert_eq!((told, secret), (7, 3));
}

#[test]
fn what_is_wrong_is_seen() {
    let read = read("a:\n  b: 1\n  # no\n  c:\n    - \"x\"\n    - y\nd: {}\n");
    let paths: Vec<_> = read.iter().map(|(path, value)| format!("{path}={value}")).collect();
    assert_eq!(paths, ["a=", "a/b=1", "a/c=", "a/c/0=x", "a/c/1=y", "d={}"]);
}
