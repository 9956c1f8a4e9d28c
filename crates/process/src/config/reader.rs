//! Reads declared settings from a source and collects everything that is wrong with them.

use std::io::Read;

use super::problem::{Problem, Problems};
use super::setting::{Declaration, Fallback, Group, Kind, OptionalSetting, Setting, service_of};
use super::{SERVICES, Source};

/// A secret's file is read up to this many bytes; a longer one is surely not the bare secret.
pub const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// How many single-letter edits apart a name may be to be offered as "did you mean".
const NEAREST_EDITS_MAX: usize = 4;

/// Hands out values to the function given to [`read`].
#[derive(Debug)]
pub struct Reader<'a> {
    source: &'a Source,
    groups: &'a [Group],
    problems: Vec<Problem>,
}

/// What the source has for a setting. The problem of an unusable value is already recorded.
enum Given<T> {
    Absent,
    Unusable,
    Value(T),
}

/// Builds settings from `source`. `groups` is every group `build` reads from; it is also what tells a typing error
/// from a setting. Fails with all problems together, and then nothing of what `build` made gets out.
pub fn read<T>(
    source: &Source,
    groups: &[Group],
    build: impl FnOnce(&mut Reader<'_>) -> T,
) -> Result<T, Problems> {
    let mut reader = Reader { source, groups, problems: Vec::new() };
    let built = build(&mut reader);
    reader.report_not_text();
    reader.report_unknown();
    if reader.problems.is_empty() { Ok(built) } else { Err(Problems(reader.problems)) }
}

impl Reader<'_> {
    /// The value, or its default. On a problem a stand-in is returned and [`read`] fails.
    pub fn get<T>(&mut self, setting: &Setting<T>) -> T {
        let declaration = &setting.declaration;
        match self.given(setting) {
            Given::Value(value) => return value,
            Given::Unusable => return (setting.placeholder)(),
            Given::Absent => {}
        }
        match declaration.fallback {
            Fallback::Number(default) => parse_default(setting, &default.to_string()),
            Fallback::Text(default) => parse_default(setting, default),
            Fallback::Required | Fallback::Off => {
                let wants = declaration.kind.to_string();
                self.problems.push(Problem::Missing { name: declaration.name, wants });
                (setting.placeholder)()
            }
        }
    }

    /// The value if there is one.
    pub fn get_optional<T>(&mut self, setting: &OptionalSetting<T>) -> Option<T> {
        match self.given(&setting.0) {
            Given::Value(value) => Some(value),
            Given::Unusable | Given::Absent => None,
        }
    }

    /// Records that a value, though well formed, does not go with the others. `reason` completes the sentence that
    /// the setting's name begins.
    pub fn reject<T>(&mut self, setting: &Setting<T>, reason: impl Into<String>) {
        self.problems.push(Problem::Rejected { name: setting.declaration.name, reason: reason.into() });
    }

    /// As [`Reader::reject`], for instance for a setting that is needed because of another.
    pub fn reject_optional<T>(&mut self, setting: &OptionalSetting<T>, reason: impl Into<String>) {
        self.reject(&setting.0, reason);
    }

    fn given<T>(&mut self, setting: &Setting<T>) -> Given<T> {
        let declaration = &setting.declaration;
        assert!(
            self.declared().any(|other| other.name == declaration.name),
            "{} is read but in none of the declared groups",
            declaration.name
        );
        let text = match self.text(declaration) {
            Ok(Some(text)) => text,
            Ok(None) => return Given::Absent,
            Err(problem) => {
                self.problems.push(problem);
                return Given::Unusable;
            }
        };
        if let Some(value) = (setting.parse)(&declaration.kind, &text) {
            Given::Value(value)
        } else {
            self.problems.push(unusable(declaration, &text));
            Given::Unusable
        }
    }

    fn text(&self, declaration: &Declaration) -> Result<Option<String>, Problem> {
        let name = declaration.name;
        let direct = self.source.get(name);
        let file = declaration.file_name().and_then(|file| self.source.get(&file));
        match (direct, file) {
            (Some(_), Some(_)) => Err(Problem::SetTwice { name }),
            (Some(text), None) => Ok(Some(text.to_owned())),
            (None, Some(path)) => secret_file(name, path).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn declared(&self) -> impl Iterator<Item = &'static Declaration> {
        self.groups.iter().flat_map(|group| group.settings)
    }

    fn report_not_text(&mut self) {
        let names = self.source.not_text().iter();
        self.problems.extend(names.map(|name| Problem::NotText { name: name.clone() }));
    }

    fn report_unknown(&mut self) {
        let unknown: Vec<Problem> = self
            .source
            .names()
            .filter(|name| !self.is_known(name))
            .map(|name| Problem::Unknown { name: name.to_owned(), nearest: self.nearest(name) })
            .collect();
        self.problems.extend(unknown);
    }

    fn is_known(&self, name: &str) -> bool {
        let ours = self.declared().any(|setting| setting.service() == service_of(name));
        if !ours {
            return SERVICES.contains(&service_of(name));
        }
        self.declared().any(|setting| setting.name == name || setting.file_name().as_deref() == Some(name))
    }

    fn nearest(&self, name: &str) -> Option<&'static str> {
        self.declared()
            .map(|setting| (edits(setting.name, name), setting.name))
            .filter(|(edits, _)| *edits <= NEAREST_EDITS_MAX)
            .min()
            .map(|(_, nearest)| nearest)
    }
}

fn parse_default<T>(setting: &Setting<T>, default: &str) -> T {
    (setting.parse)(&setting.declaration.kind, default)
        .expect("a declared default is a value the setting takes")
}

fn unusable(declaration: &Declaration, text: &str) -> Problem {
    // A URL may carry a password that does not belong there.
    let hidden = matches!(declaration.kind, Kind::Secret) || text.contains('@');
    Problem::Unusable {
        name: declaration.name,
        value: if hidden { "(not shown)".to_owned() } else { text.to_owned() },
        wants: match declaration.kind {
            Kind::Url(_) if text.contains('@') => format!("{} without credentials", declaration.kind),
            _ => declaration.kind.to_string(),
        },
        default: match declaration.fallback {
            Fallback::Number(default) => format!(" (default {default})"),
            Fallback::Text(default) => format!(" (default {default})"),
            Fallback::Required | Fallback::Off => String::new(),
        },
    }
}

fn secret_file(name: &'static str, path: &str) -> Result<String, Problem> {
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(SECRET_FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|source| Problem::File { name, path: path.to_owned(), source })?;
    let too_long = u64::try_from(text.len()).unwrap_or(u64::MAX) > SECRET_FILE_BYTES_MAX;
    // Editors and `echo` end a file with a newline that is not part of the secret.
    let secret = text.trim();
    if secret.is_empty() || too_long {
        return Err(Problem::FileSize { name, path: path.to_owned(), bytes_max: SECRET_FILE_BYTES_MAX });
    }
    Ok(secret.to_owned())
}

/// Single-letter insertions, removals and replacements between two names (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
