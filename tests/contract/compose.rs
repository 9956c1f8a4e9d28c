//! docker-compose.yml is a file of Compose, and says what the program understands. There is no container here to try it in,
//! so it is read. compose/compose-spec.json is the Compose Specification's own schema (github.com/compose-spec/compose-spec,
//! Apache-2.0), as the Python package check-jsonschema 0.39 carries it.

use std::collections::BTreeMap;

use process::config::{self, Declaration, Fallback, Kind, Source};
use serde_json::Value;

use crate::documents::{GROUPS, root};

/// Our own processes and the command of each.
const PROCESSES: [(&str, &[&str]); 4] = [
    ("migrate", &["migrate", "--admin-token-file", "/var/lib/onhand/keys/admin.token"]),
    ("ingress", &["serve", "ingress"]),
    ("inventory", &["serve", "inventory"]),
    ("egress", &["serve", "egress"]),
];
const SERVERS: [&str; 2] = ["rabbitmq", "postgres"];
/// Passes the lines of `.env` on, if there is one. What is below `environment` goes before them.
const SETTINGS_OF_PEOPLE: [(&str, &str); 2] = [("0/path", ".env"), ("0/required", "false")];
/// What may come from the shell as well, the processes that are told, and how it is said.
const INTERPOLATED: [(&str, &[&str], &str); 2] = [
    ("ONHAND_SHARDS", &["migrate", "ingress", "inventory", "egress"], "${ONHAND_SHARDS:-16}"),
    // Blank is absent, so nothing is made in shops for an address that they cannot reach.
    ("ONHAND_PUBLIC_URL", &["ingress", "inventory"], "${ONHAND_PUBLIC_URL:-}"),
];
/// What every process has to agree on.
const AGREED: [&str; 4] =
    ["ONHAND_DATABASE_URL_FILE", "ONHAND_BROKER_URL_FILE", "ONHAND_SECRET_KEY_FILE", "ONHAND_SHARDS"];

/// Values by path, as in `services/ingress/image`; the items of a list under its path with a number.
type ByPath = BTreeMap<String, String>;

fn document() -> Value {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).expect("the file is there");
    serde_saphyr::from_str(&text).expect("it is YAML, and nothing is said twice")
}

fn compose() -> ByPath {
    let mut found = ByPath::new();
    flatten(&document(), "", &mut found);
    found
}

fn flatten(value: &Value, path: &str, found: &mut ByPath) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(value, &below(key), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, value)| flatten(value, &below(&n.to_string()), found));
        }
        Value::String(text) => drop(found.insert(path.to_owned(), text.clone())),
        other => drop(found.insert(path.to_owned(), other.to_string())),
    }
}

/// What is below a path.
fn below<'a>(compose: &'a ByPath, path: &str) -> Vec<(&'a str, &'a str)> {
    let of = format!("{path}/");
    compose.iter().filter_map(|(path, value)| Some((path.strip_prefix(&of)?, value.as_str()))).collect()
}

/// The items of a list, or its only one.
fn items<'a>(compose: &'a ByPath, path: &str) -> Vec<&'a str> {
    let alone = compose.get(path).map(String::as_str);
    alone.into_iter().chain(below(compose, path).into_iter().map(|(_, item)| item)).collect()
}

/// What is wrong with a file of Compose.
fn faults(document: &Value) -> Vec<String> {
    let schema = serde_json::from_str(include_str!("compose/compose-spec.json")).expect("it is JSON");
    let schema = jsonschema::validator_for(&schema).expect("it is a schema");
    schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn declared() -> impl Iterator<Item = &'static Declaration> {
    GROUPS.iter().flat_map(|group| group.settings)
}

/// The names of the secret settings of alerts, with the file of each.
fn secrets_of_alerts() -> Vec<(&'static str, String)> {
    declared()
        .filter(|setting| setting.name.starts_with("ONHAND_ALERT_") && matches!(setting.kind, Kind::Secret))
        .map(|setting| (setting.name, setting.name.trim_start_matches("ONHAND_").to_ascii_lowercase()))
        .collect()
}

/// What is below `environment` of one service.
fn environment(compose: &ByPath, service: &str) -> ByPath {
    let variables = below(compose, &format!("services/{service}/environment")).into_iter();
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What a process is told if `.env` has these lines.
fn told(compose: &ByPath, service: &str, lines: &[(&str, &str)]) -> Source {
    let mut source = Source::from_pairs(lines.iter().copied());
    for (name, value) in environment(compose, service) {
        let value = match value.strip_prefix("${").and_then(|value| value.strip_suffix('}')) {
            Some(variable) => {
                let (of, default) = variable.split_once(":-").expect("it has a default");
                let line = lines.iter().find(|(name, value)| *name == of && !value.is_empty());
                line.map_or(default, |(_, value)| *value).to_owned()
            }
            None => value,
        };
        source.set(&name, &value);
    }
    source
}

#[test]
fn every_process_is_there_with_its_health_and_nothing_listens_outside() {
    let compose = compose();
    let said = |path: String| compose.get(&path).map(String::as_str);
    for (process, command) in PROCESSES {
        assert_eq!(items(&compose, &format!("services/{process}/command")), command);
        assert_eq!(said(format!("services/{process}/image")), Some("onhand"));
        let waits = if process == "migrate" { "rabbitmq" } else { "migrate" };
        assert!(said(format!("services/{process}/depends_on/{waits}/condition")).is_some(), "{process}");
        // One that is to end may be tried again, but not for ever.
        let again = if process == "migrate" { "on-failure:5" } else { "unless-stopped" };
        assert_eq!(said(format!("services/{process}/restart")), Some(again));
    }
    let watched = SERVERS.into_iter().chain(PROCESSES.map(|(process, _)| process));
    for service in watched.filter(|service| *service != "migrate") {
        let test = items(&compose, &format!("services/{service}/healthcheck/test"));
        assert!(test.starts_with(&["CMD"]) && test.len() > 1, "{service}: {test:?}");
    }
    let ports: Vec<_> = compose.iter().filter(|(path, _)| path.contains("/ports/")).collect();
    assert_eq!(ports.len(), 2);
    assert!(ports.iter().all(|(_, port)| port.starts_with("127.0.0.1:")), "{ports:?}");
    assert!(said("services/rabbitmq/image".to_owned()).is_some_and(|image| image.starts_with("rabbitmq:4")));
    // Its health check makes no cookie that the server cannot read, and that of PostgreSQL asks the server that stays.
    assert_eq!(said("services/rabbitmq/user".to_owned()), Some("rabbitmq"));
    let asked = items(&compose, "services/postgres/healthcheck/test");
    assert!(asked.windows(2).any(|pair| pair == ["--host", "127.0.0.1"]), "{asked:?}");
}

#[test]
fn every_variable_is_a_setting_and_secrets_are_files() {
    let compose = compose();
    let declared: Vec<_> = declared().collect();
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
        // Blank takes away what `.env` says.
        assert!(!plain || value.is_empty(), "{service}: {name} is a secret; give it by a file");
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

/// Every setting can be a line of `.env`, and those of [`INTERPOLATED`] can come from the shell as well.
#[test]
fn what_people_set_reaches_every_process() {
    let compose = compose();
    for (process, _) in PROCESSES {
        assert_eq!(below(&compose, &format!("services/{process}/env_file")), SETTINGS_OF_PEOPLE, "{process}");
    }
    let mut expected: Vec<_> = INTERPOLATED
        .iter()
        .flat_map(|(name, processes, value)| processes.iter().map(move |process| (*process, *name, *value)))
        .collect();
    expected.sort_unstable();
    let mut found: Vec<_> = compose
        .iter()
        .filter(|(_, value)| value.contains("${"))
        .filter_map(|(path, value)| {
            let (service, name) = path.strip_prefix("services/")?.split_once("/environment/")?;
            Some((service, name, value.as_str()))
        })
        .collect();
    found.sort_unstable();
    assert_eq!(found, expected);
    let shards = declared().find(|setting| setting.name == "ONHAND_SHARDS").expect("it is a setting");
    assert!(
        matches!(shards.fallback, Fallback::Number(16)),
        "the same where nothing is set: {:?}",
        shards.fallback
    );
}

/// Where a process listens and keeps things inside its container is no matter of `.env`.
#[test]
fn what_holds_inside_a_container_is_said_here() {
    let compose = compose();
    let inside: [(&str, &[&str]); 3] = [
        ("ingress", &["ONHAND_INGRESS_LISTEN", "ONHAND_INGRESS_SPOOL_DIR"]),
        ("inventory", &["ONHAND_INVENTORY_LISTEN", "ONHAND_URL", "ONHAND_DATA_DIR"]),
        ("egress", &["ONHAND_EGRESS_LISTEN"]),
    ];
    for (process, names) in inside {
        let set = environment(&compose, process);
        assert!(names.iter().all(|name| set.contains_key(*name)), "{process}: {set:?}");
        let port = set[names[0]].strip_prefix("0.0.0.0:").expect("other containers reach it");
        let asked = items(&compose, &format!("services/{process}/healthcheck/test"));
        assert_eq!(
            asked.last().copied(),
            Some(format!("http://127.0.0.1:{port}/readyz").as_str()),
            "{process}"
        );
    }
}

/// What is secret of telling people of alerts is a file that can be filled in, and given to inventory alone.
#[test]
fn whoever_is_to_be_told_of_alerts_can_be_set_up() {
    let compose = compose();
    let script = std::fs::read_to_string(root().join("deploy/compose/make-secrets.sh")).expect("it is there");
    let files = secrets_of_alerts();
    assert_eq!(files.len(), 3);
    for (_, file) in files {
        for (process, _) in PROCESSES {
            let given = items(&compose, &format!("services/{process}/secrets")).contains(&file.as_str());
            assert_eq!(given, process == "inventory", "{process}: {file}");
        }
        let path = compose.get(&format!("secrets/{file}/file")).map(String::as_str);
        assert_eq!(path, Some(format!("./deploy/compose/secrets/{file}").as_str()));
        assert!(script.contains(&file), "{file} is not made");
    }
}

/// Every process reads these settings. Whoever is not given the files must not look for them, whatever `.env` says.
#[test]
fn what_is_said_of_alerts_keeps_no_other_process_from_starting() {
    let compose = compose();
    let in_files: Vec<(String, String)> = secrets_of_alerts()
        .into_iter()
        .map(|(name, file)| (format!("{name}_FILE"), format!("/run/secrets/{file}")))
        .collect();
    let in_files: Vec<_> = in_files.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // Each without what it needs besides.
    let in_lines = [
        ("ONHAND_ALERT_WEBHOOK_URL", "https://ops.example/"),
        ("ONHAND_ALERT_SMTP_URL", "smtps://mail.example"),
    ];
    for lines in [&in_files[..], &in_lines[..]] {
        let read = |process| {
            let source = told(&compose, process, lines);
            config::read(&source, GROUPS, notices::Channels::from_source)
        };
        for process in ["ingress", "egress"] {
            let tells = read(process).map(|channels| channels.webhook.is_some() || channels.mail.is_some());
            assert!(matches!(tells, Ok(false)), "{process}: {tells:?}");
        }
        // Inventory does look: here there are no such files, and not all that is needed.
        assert!(read("inventory").is_err());
    }
}

#[test]
fn it_is_a_file_of_compose() {
    let document = document();
    assert_eq!(faults(&document), [""; 0]);
    // A word that Compose does not know, a number that is none of its durations, and a condition that there is not.
    for (path, wrong) in [
        ("/services/ingress/healtcheck", Value::from("CMD")),
        ("/services/ingress/stop_grace_period", Value::from(30)),
        ("/services/ingress/depends_on/migrate/condition", Value::from("service_finished")),
    ] {
        let mut document = document.clone();
        let (of, key) = path.rsplit_once('/').expect("it has a place");
        document
            .pointer_mut(of)
            .and_then(Value::as_object_mut)
            .expect("it is there")
            .insert(key.to_owned(), wrong);
        let faults = faults(&document);
        assert!(faults.iter().any(|fault| fault.starts_with("/services/ingress")), "{path}: {faults:?}");
    }
}
