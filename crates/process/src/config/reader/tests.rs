//! Each way a setting can be right or wrong.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::super::{Within, Word};
use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Red,
    Green,
}

impl Word for Colour {
    const WORDS: &'static [(&'static str, Self)] = &[("red", Self::Red), ("green", Self::Green)];
}

const INTERVAL: Setting<Duration> = Setting::duration(
    "ONHAND_TEST_POLL_INTERVAL_MS",
    "How often.",
    Within { default: 500, min: 100, max: 1_000 },
);
const DEADLINE: Setting<Duration> = Setting::duration(
    "ONHAND_TEST_DRAIN_DEADLINE_SECONDS",
    "How long.",
    Within { default: 20, min: 1, max: 60 },
);
const BODY: Setting<usize> =
    Setting::bytes("ONHAND_TEST_BODY_BYTES", "How large.", Within { default: 1024, min: 1, max: 4096 });
const COUNT: Setting<usize> =
    Setting::count("ONHAND_TEST_BATCH_SIZE_MAX", "How many.", Within { default: 7, min: 1, max: 9 });
const LISTEN: Setting<SocketAddr> =
    Setting::address("ONHAND_TEST_LISTEN_ADDRESS", "Where.").or("127.0.0.1:8080");
const SITE: Setting<String> = Setting::url("ONHAND_TEST_SITE_URL", "Whom.", &["http", "https"]);
const PROXY: OptionalSetting<String> =
    Setting::url("ONHAND_TEST_PROXY_URL", "Through whom.", &["http"]).optional();
const DATA: Setting<PathBuf> = Setting::path("ONHAND_TEST_DATA_DIR", "Where to.").or("/var/lib/onhand");
const KEY: Setting<SecretString> = Setting::secret("ONHAND_TEST_KEY_SECRET", "Opens it.");
const COLOUR: Setting<Colour> = Setting::words("ONHAND_TEST_COLOUR_NAME", "Which.").or("green");
const SWITCH: Setting<bool> = Setting::switch("ONHAND_TEST_SWITCH_ON", "Whether.", true);

const GROUPS: &[Group] = &[Group {
    title: "Test",
    about: "",
    settings: &[
        INTERVAL.declaration(),
        DEADLINE.declaration(),
        BODY.declaration(),
        COUNT.declaration(),
        LISTEN.declaration(),
        SITE.declaration(),
        PROXY.declaration(),
        DATA.declaration(),
        KEY.declaration(),
        COLOUR.declaration(),
        SWITCH.declaration(),
    ],
}];

/// What `build` makes of `pairs`, or the problems one a line.
fn check<T>(pairs: &[(&str, &str)], build: impl FnOnce(&mut Reader<'_>) -> T) -> Result<T, String> {
    let source = Source::from_pairs(pairs.iter().copied());
    read(&source, GROUPS, build)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn absent_settings_take_their_defaults() {
    let values = check(&[], |reader| {
        (
            reader.get(&INTERVAL),
            reader.get(&DEADLINE),
            reader.get(&BODY),
            reader.get(&COUNT),
            reader.get(&LISTEN).port(),
            reader.get_optional(&PROXY),
            reader.get(&DATA),
            reader.get(&COLOUR),
            reader.get(&SWITCH),
        )
    });
    let expected = (
        Duration::from_millis(500),
        Duration::from_secs(20),
        1024,
        7,
        8080,
        None,
        PathBuf::from("/var/lib/onhand"),
        Colour::Green,
        true,
    );
    assert_eq!(values, Ok(expected));
}

#[test]
fn given_settings_are_parsed_in_their_unit() {
    let pairs = [
        ("ONHAND_TEST_POLL_INTERVAL_MS", "100"),
        ("ONHAND_TEST_DRAIN_DEADLINE_SECONDS", "60"),
        ("ONHAND_TEST_SITE_URL", "https://shop.example:8443/a"),
        ("ONHAND_TEST_PROXY_URL", "http://[::1]:3128"),
        ("ONHAND_TEST_COLOUR_NAME", "red"),
        ("ONHAND_TEST_SWITCH_ON", "false"),
    ];
    let values = check(&pairs, |reader| {
        (
            reader.get(&INTERVAL),
            reader.get(&DEADLINE),
            reader.get(&SITE),
            reader.get_optional(&PROXY),
            reader.get(&COLOUR),
            reader.get(&SWITCH),
        )
    });
    let expected = (
        Duration::from_millis(100),
        Duration::from_mins(1),
        "https://shop.example:8443/a".to_owned(),
        Some("http://[::1]:3128".to_owned()),
        Colour::Red,
        false,
    );
    assert_eq!(values, Ok(expected));
}

#[test]
fn all_problems_are_reported_at_once() {
    let pairs = [
        ("ONHAND_TEST_POLL_INTERVAL_MS", "99"),
        ("ONHAND_TEST_BATCH_SIZE_MAX", "ten"),
        ("ONHAND_TEST_LISTEN_ADDRESS", "localhost"),
        ("ONHAND_TEST_COLOUR_NAME", "blue"),
        ("ONHAND_TEST_COLOR_NAME", "red"),
        ("ONHAND_TSET_COLOUR_NAME", "red"),
        ("ONHAND_EGRESS_WHATEVER", "belongs to a neighbour"),
    ];
    let problems = check(&pairs, |reader| {
        reader.get(&INTERVAL);
        reader.get(&COUNT);
        reader.get(&LISTEN);
        reader.get(&SITE);
        reader.get(&COLOUR);
    });
    let expected = "\
ONHAND_TEST_POLL_INTERVAL_MS=99 cannot be used; it wants milliseconds, 100 to 1000 (default 500)
ONHAND_TEST_BATCH_SIZE_MAX=ten cannot be used; it wants a whole number, 1 to 9 (default 7)
ONHAND_TEST_LISTEN_ADDRESS=localhost cannot be used; it wants an IP address and port, as in 127.0.0.1:8080 (default 127.0.0.1:8080)
ONHAND_TEST_SITE_URL is not set; it wants a URL starting with http:// or https://
ONHAND_TEST_COLOUR_NAME=blue cannot be used; it wants red or green (default green)
ONHAND_TEST_COLOR_NAME is not a setting of this program; did you mean ONHAND_TEST_COLOUR_NAME?
ONHAND_TSET_COLOUR_NAME is not a setting of this program; did you mean ONHAND_TEST_COLOUR_NAME?";
    assert_eq!(problems, Err(expected.to_owned()));
}

#[test]
fn urls_must_name_a_scheme_and_host_and_no_credentials() {
    for bad in ["ftp://a", "http:/a", "http://", "https:///path", "https://a b"] {
        let problem = check(&[("ONHAND_TEST_SITE_URL", bad)], |reader| reader.get(&SITE)).unwrap_err();
        assert!(problem.contains(bad), "{problem}");
    }
    let problem = check(&[("ONHAND_TEST_SITE_URL", "https://me:swordfish@a")], |reader| reader.get(&SITE));
    let expected = "ONHAND_TEST_SITE_URL=(not shown) cannot be used; \
                    it wants a URL starting with http:// or https:// without credentials";
    assert_eq!(problem, Err(expected.to_owned()));
}

#[test]
fn a_secret_comes_from_the_variable_or_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "swordfish\n").unwrap();
    let path = path.to_str().unwrap();
    let key = |pairs: &[(&str, &str)]| {
        check(pairs, |reader| reader.get(&KEY)).map(|secret| secret.expose_secret().to_owned())
    };

    assert_eq!(key(&[("ONHAND_TEST_KEY_SECRET", "swordfish")]), Ok("swordfish".to_owned()));
    assert_eq!(key(&[("ONHAND_TEST_KEY_SECRET_FILE", path)]), Ok("swordfish".to_owned()));
    let both =
        key(&[("ONHAND_TEST_KEY_SECRET", "swordfish"), ("ONHAND_TEST_KEY_SECRET_FILE", path)]).unwrap_err();
    assert_eq!(both, "ONHAND_TEST_KEY_SECRET and ONHAND_TEST_KEY_SECRET_FILE are both set; remove one");
    let absent = key(&[("ONHAND_TEST_KEY_SECRET_FILE", "/nowhere/key")]).unwrap_err();
    assert!(absent.starts_with("ONHAND_TEST_KEY_SECRET_FILE=/nowhere/key cannot be read: "), "{absent}");

    std::fs::write(path, "\n").unwrap();
    assert!(key(&[("ONHAND_TEST_KEY_SECRET_FILE", path)]).unwrap_err().contains("is empty or larger"));
    let too_long = usize::try_from(SECRET_FILE_BYTES_MAX).unwrap() + 1;
    std::fs::write(path, "x".repeat(too_long)).unwrap();
    assert!(key(&[("ONHAND_TEST_KEY_SECRET_FILE", path)]).unwrap_err().contains("is empty or larger"));
}

#[test]
fn a_value_that_does_not_go_with_another_is_rejected() {
    let problem = check(&[], |reader| {
        reader.reject_optional(&PROXY, "is needed when the moon is full");
    });
    assert_eq!(problem, Err("ONHAND_TEST_PROXY_URL is needed when the moon is full".to_owned()));
}

#[test]
fn edits_are_counted() {
    for (a, b, expected) in [("", "", 0), ("abc", "abc", 0), ("abc", "ac", 1), ("kitten", "sitting", 3)] {
        assert_eq!(edits(a, b), expected, "{a} {b}");
    }
}
