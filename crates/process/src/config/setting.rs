//! The declaration of a setting: its name, meaning, unit, default and bounds, in one constant.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::PREFIX;

/// The version that had the first settings.
const SINCE_FIRST: &str = "0.1.0";

/// A setting with a default, or one that must be given. Made as a constant beside the code that uses it.
#[derive(Debug, Clone, Copy)]
pub struct Setting<T> {
    pub(super) declaration: Declaration,
    pub(super) parse: fn(&Kind, &str) -> Option<T>,
    /// Stands in for a value that could not be read; never leaves [`super::read`], which fails then.
    pub(super) placeholder: fn() -> T,
}

/// A setting whose absence means something.
#[derive(Debug, Clone, Copy)]
pub struct OptionalSetting<T>(pub(super) Setting<T>);

/// What is written about a setting in the documents and in problem reports.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    pub name: &'static str,
    pub meaning: &'static str,
    pub kind: Kind,
    pub fallback: Fallback,
    /// The version that had it first.
    pub since: &'static str,
}

/// Settings that belong together, as one section of the documents.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    pub title: &'static str,
    pub about: &'static str,
    pub settings: &'static [Declaration],
}

/// A number's default and bounds, both ends included.
#[derive(Debug, Clone, Copy)]
pub struct Within {
    pub default: u64,
    pub min: u64,
    pub max: u64,
}

/// What happens when a setting is absent.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    Number(u64),
    Text(&'static str),
    /// The process does not start.
    Required,
    /// What it would switch on stays off.
    Off,
}

/// What a value must look like.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Duration {
        unit: Unit,
        min: u64,
        max: u64,
    },
    Bytes {
        min: u64,
        max: u64,
    },
    Count {
        min: u64,
        max: u64,
    },
    Switch,
    /// An address and port to listen on.
    Address,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    Path,
    /// Any text, in one line.
    Text,
    Secret,
    Words(fn() -> Vec<&'static str>),
}

/// The unit of a duration, which the setting's name ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Milliseconds,
    Seconds,
}

/// A choice among words.
pub trait Word: Copy + 'static {
    /// Each word and what it stands for.
    const WORDS: &'static [(&'static str, Self)];
}

impl Setting<Duration> {
    /// The unit is what the name ends in: `_MS` or `_SECONDS`.
    pub const fn duration(name: &'static str, meaning: &'static str, within: Within) -> Self {
        let unit = if ends_with(name, "_MS") {
            Unit::Milliseconds
        } else {
            assert!(ends_with(name, "_SECONDS"), "a duration's name ends in _MS or _SECONDS");
            Unit::Seconds
        };
        let kind = Kind::Duration { unit, min: within.min, max: within.max };
        Self::declare(name, meaning, kind, within.fallback(), parse_duration, || Duration::ZERO)
    }
}

impl Setting<usize> {
    /// A size in bytes.
    pub const fn bytes(name: &'static str, meaning: &'static str, within: Within) -> Self {
        assert!(ends_with(name, "_BYTES"), "a size's name ends in _BYTES");
        let kind = Kind::Bytes { min: within.min, max: within.max };
        Self::declare(name, meaning, kind, within.fallback(), parse_number, || 0)
    }

    /// How many of something.
    pub const fn count(name: &'static str, meaning: &'static str, within: Within) -> Self {
        let kind = Kind::Count { min: within.min, max: within.max };
        Self::declare(name, meaning, kind, within.fallback(), parse_number, || 0)
    }
}

impl Setting<bool> {
    /// `true` or `false`.
    pub const fn switch(name: &'static str, meaning: &'static str, default: bool) -> Self {
        let fallback = Fallback::Text(if default { "true" } else { "false" });
        Self::declare(name, meaning, Kind::Switch, fallback, parse_switch, || false)
    }
}

impl Setting<SocketAddr> {
    /// An address and port to listen on. Required unless [`Setting::or`] or [`Setting::optional`] follows.
    pub const fn address(name: &'static str, meaning: &'static str) -> Self {
        let placeholder = || SocketAddr::from(([127, 0, 0, 1], 0));
        Self::declare(
            name,
            meaning,
            Kind::Address,
            Fallback::Required,
            |_, text| text.parse().ok(),
            placeholder,
        )
    }
}

impl Setting<String> {
    /// A URL without credentials in it; one that has them is a [`Setting::secret`].
    pub const fn url(name: &'static str, meaning: &'static str, schemes: &'static [&'static str]) -> Self {
        Self::declare(name, meaning, Kind::Url(schemes), Fallback::Required, parse_url, String::new)
    }
}

/// A text that has no form of its own is checked by whoever reads it.
impl Setting<String> {
    /// Any text in one line, that is no secret.
    pub const fn text(name: &'static str, meaning: &'static str) -> Self {
        Self::declare(name, meaning, Kind::Text, Fallback::Required, parse_text, String::new)
    }
}

impl Setting<PathBuf> {
    /// A file or directory.
    pub const fn path(name: &'static str, meaning: &'static str) -> Self {
        Self::declare(
            name,
            meaning,
            Kind::Path,
            Fallback::Required,
            |_, text| Some(PathBuf::from(text)),
            PathBuf::new,
        )
    }
}

impl Setting<SecretString> {
    /// A value that is never shown. `NAME_FILE` may name a file that holds it instead.
    pub const fn secret(name: &'static str, meaning: &'static str) -> Self {
        Self::declare(
            name,
            meaning,
            Kind::Secret,
            Fallback::Required,
            |_, text| Some(SecretString::from(text)),
            SecretString::default,
        )
    }
}

impl<W: Word> Setting<W> {
    /// One of the words of `W`.
    pub const fn words(name: &'static str, meaning: &'static str) -> Self {
        assert!(!W::WORDS.is_empty(), "a choice needs words to choose from");
        let kind = Kind::Words(|| W::WORDS.iter().map(|(word, _)| *word).collect());
        let placeholder = || W::WORDS.first().expect("checked when the setting was declared").1;
        Self::declare(
            name,
            meaning,
            kind,
            Fallback::Required,
            |_, text| W::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value),
            placeholder,
        )
    }
}

impl<T> Setting<T> {
    const fn declare(
        name: &'static str,
        meaning: &'static str,
        kind: Kind,
        fallback: Fallback,
        parse: fn(&Kind, &str) -> Option<T>,
        placeholder: fn() -> T,
    ) -> Self {
        assert!(starts_with(name, PREFIX), "a setting's name starts with ONHAND_");
        Self {
            declaration: Declaration { name, meaning, kind, fallback, since: SINCE_FIRST },
            parse,
            placeholder,
        }
    }

    /// Gives it a default, written as it would be in the environment.
    #[must_use]
    pub const fn or(mut self, default: &'static str) -> Self {
        self.declaration.fallback = Fallback::Text(default);
        self
    }

    /// Makes its absence mean that something is off.
    #[must_use]
    pub const fn optional(self) -> OptionalSetting<T> {
        let mut declaration = self.declaration;
        declaration.fallback = Fallback::Off;
        OptionalSetting(Self { declaration, parse: self.parse, placeholder: self.placeholder })
    }

    /// Says which version had it first.
    #[must_use]
    pub const fn since(mut self, version: &'static str) -> Self {
        self.declaration.since = version;
        self
    }

    pub const fn declaration(&self) -> Declaration {
        self.declaration
    }
}

impl<T> OptionalSetting<T> {
    /// Says which version had it first.
    #[must_use]
    pub const fn since(mut self, version: &'static str) -> Self {
        self.0.declaration.since = version;
        self
    }

    pub const fn declaration(&self) -> Declaration {
        self.0.declaration
    }
}

impl Within {
    const fn fallback(self) -> Fallback {
        assert!(self.min <= self.default && self.default <= self.max, "a default lies within its bounds");
        Fallback::Number(self.default)
    }
}

impl Declaration {
    /// The variable that may name a file holding the value; secrets only.
    pub(super) fn file_name(&self) -> Option<String> {
        matches!(self.kind, Kind::Secret).then(|| format!("{}_FILE", self.name))
    }

    /// The second word of the name: whose setting it is.
    pub(super) fn service(&self) -> &'static str {
        service_of(self.name)
    }
}

/// The word after the prefix.
pub(super) fn service_of(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name).split('_').next().unwrap_or_default()
}

impl fmt::Display for Kind {
    /// What is wanted, as the middle of a sentence: "wants …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration { unit, min, max } => write!(f, "{unit}, {min} to {max}"),
            Self::Bytes { min, max } => write!(f, "bytes, {min} to {max}"),
            Self::Count { min, max } => write!(f, "a whole number, {min} to {max}"),
            Self::Switch => f.write_str("true or false"),
            Self::Address => f.write_str("an IP address and port, as in 127.0.0.1:8080"),
            Self::Url(schemes) => write!(f, "a URL starting with {}", join_or(schemes, "://")),
            Self::Path => f.write_str("a path"),
            Self::Text => f.write_str("text in one line"),
            Self::Secret => f.write_str("a secret"),
            Self::Words(words) => write!(f, "{}", join_or(&words(), "")),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milliseconds => "milliseconds",
            Self::Seconds => "seconds",
        })
    }
}

fn join_or(words: &[&str], suffix: &str) -> String {
    words.iter().map(|word| format!("{word}{suffix}")).collect::<Vec<_>>().join(" or ")
}

fn number_within(kind: &Kind, text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    let (Kind::Duration { min, max, .. } | Kind::Bytes { min, max } | Kind::Count { min, max }) = kind else {
        return None;
    };
    (*min..=*max).contains(&number).then_some(number)
}

fn parse_duration(kind: &Kind, text: &str) -> Option<Duration> {
    let number = number_within(kind, text)?;
    match kind {
        Kind::Duration { unit: Unit::Milliseconds, .. } => Some(Duration::from_millis(number)),
        _ => Some(Duration::from_secs(number)),
    }
}

fn parse_number(kind: &Kind, text: &str) -> Option<usize> {
    usize::try_from(number_within(kind, text)?).ok()
}

fn parse_switch(_: &Kind, text: &str) -> Option<bool> {
    text.parse().ok()
}

fn parse_text(_: &Kind, text: &str) -> Option<String> {
    (!text.contains(char::is_control)).then(|| text.to_owned())
}

fn parse_url(kind: &Kind, text: &str) -> Option<String> {
    let Kind::Url(schemes) = kind else { return None };
    let (scheme, rest) = text.split_once("://")?;
    let host_given = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
    let credentials = rest.split('/').next()?.contains('@');
    let wanted =
        schemes.contains(&scheme) && host_given && !credentials && !text.contains(char::is_whitespace);
    wanted.then(|| text.to_owned())
}

const fn starts_with(text: &str, start: &str) -> bool {
    matches_at(text.as_bytes(), start.as_bytes(), 0)
}

const fn ends_with(text: &str, end: &str) -> bool {
    text.len() >= end.len() && matches_at(text.as_bytes(), end.as_bytes(), text.len() - end.len())
}

/// `str::ends_with` is not yet callable in a constant.
const fn matches_at(text: &[u8], part: &[u8], at: usize) -> bool {
    if text.len() < part.len() + at {
        return false;
    }
    let mut i = 0;
    while i < part.len() {
        if text[at + i] != part[i] {
            return false;
        }
        i += 1;
    }
    true
}
