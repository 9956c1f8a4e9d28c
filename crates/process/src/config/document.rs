//! Writes `docs/configuration.md` and `.env.example` from the declarations, so that they cannot drift.

use super::setting::{Declaration, Fallback, Group, Kind, Unit};

const INTRODUCTION: &str = "\
# Configuration

Every setting of the processes is an environment variable. All problems are reported at once and the process ends
with exit code 64. A blank variable is the same as an absent one. An `ONHAND_` variable that is not a setting is a
problem too: it is most likely a typing error. A secret may be given in the variable itself, or in a file named by
the variable with `_FILE` added.

Shops, warehouses, buffers and users are not here: they are kept in the database and changed with the `onhand`
command or the API.

This page and `.env.example` are written by `cargo xtask docs` from the declarations in the code.
";

const HEADING: &str = "\
# Every setting with its default. docs/configuration.md says more.
# In `.env` beside docker-compose.yml these lines reach every process. What that file says itself goes before them: where the
# processes listen, their directories, the secret key. It gives ONHAND_DATABASE_URL and ONHAND_BROKER_URL in files: leave them out.
";

/// The text of `docs/configuration.md`.
pub fn configuration_page(groups: &[Group]) -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in groups {
        page.push_str(&format_group(group));
    }
    page
}

/// The text of `.env.example`: every setting commented out with its default.
pub fn env_example(groups: &[Group]) -> String {
    let heading = HEADING.to_owned();
    let sections = groups.iter().map(|group| {
        let settings: Vec<String> = group.settings.iter().map(example_lines).collect();
        format!("\n# -- {}\n{}", group.title, settings.concat())
    });
    std::iter::once(heading).chain(sections).collect()
}

fn example_lines(setting: &Declaration) -> String {
    let value = default_text(setting).unwrap_or_default();
    format!("# {}\n# {}={value}\n", setting.meaning, setting.name)
}

fn format_group(group: &Group) -> String {
    let about = if group.about.is_empty() { String::new() } else { format!("\n{}\n", group.about) };
    let rows: Vec<String> = group.settings.iter().map(row).collect();
    format!(
        "\n## {}\n{about}\n| Variable | Meaning | Unit | Default | Bounds | Since |\n|---|---|---|---|---|---|\n{}",
        group.title,
        rows.concat()
    )
}

fn row(setting: &Declaration) -> String {
    format!(
        "| `{}` | {} | {} | {} | {} | {} |\n",
        setting.name,
        setting.meaning,
        unit(&setting.kind),
        default_cell(setting),
        bounds(&setting.kind),
        setting.since,
    )
}

fn default_text(setting: &Declaration) -> Option<String> {
    match setting.fallback {
        Fallback::Number(default) => Some(default.to_string()),
        Fallback::Text(default) => Some(default.to_owned()),
        Fallback::Required | Fallback::Off => None,
    }
}

fn default_cell(setting: &Declaration) -> String {
    match setting.fallback {
        Fallback::Required => "must be given".to_owned(),
        Fallback::Off => "off".to_owned(),
        Fallback::Number(_) | Fallback::Text(_) => {
            format!("`{}`", default_text(setting).unwrap_or_default())
        }
    }
}

fn unit(kind: &Kind) -> &'static str {
    match kind {
        Kind::Duration { unit: Unit::Milliseconds, .. } => "milliseconds",
        Kind::Duration { unit: Unit::Seconds, .. } => "seconds",
        Kind::Bytes { .. } => "bytes",
        Kind::Count { .. } => "count",
        Kind::Switch => "switch",
        Kind::Address => "address:port",
        Kind::Url(_) => "URL",
        Kind::Path => "path",
        Kind::Text => "text",
        Kind::Secret => "secret",
        Kind::Words(_) => "word",
    }
}

fn bounds(kind: &Kind) -> String {
    match kind {
        Kind::Duration { min, max, .. } | Kind::Bytes { min, max } | Kind::Count { min, max } => {
            format!("{min} to {max}")
        }
        Kind::Url(schemes) => {
            schemes.iter().map(|scheme| format!("`{scheme}://`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Words(words) => words().iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Switch => "`true`, `false`".to_owned(),
        Kind::Address | Kind::Path | Kind::Text | Kind::Secret => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretString;

    use super::super::{Setting, Within};
    use super::*;

    const POLL: Setting<Duration> = Setting::duration(
        "ONHAND_TEST_POLL_INTERVAL_MS",
        "How often a shop is read.",
        Within { default: 500, min: 100, max: 1_000 },
    );
    const KEY: Setting<SecretString> = Setting::secret("ONHAND_TEST_KEY_SECRET", "Opens it.").since("0.2.0");
    const GROUPS: &[Group] = &[Group {
        title: "Test",
        about: "Only for the test.",
        settings: &[POLL.declaration(), KEY.declaration()],
    }];

    #[test]
    fn the_page_has_a_row_for_each_setting() {
        let page = configuration_page(GROUPS);
        let section = page.split_once("\n## Test\n").unwrap().1;
        let expected = "
Only for the test.

| Variable | Meaning | Unit | Default | Bounds | Since |
|---|---|---|---|---|---|
| `ONHAND_TEST_POLL_INTERVAL_MS` | How often a shop is read. | milliseconds | `500` | 100 to 1000 | 0.1.0 |
| `ONHAND_TEST_KEY_SECRET` | Opens it. | secret | must be given |  | 0.2.0 |
";
        assert_eq!(section, expected);
    }

    #[test]
    fn the_example_has_every_default_commented_out() {
        let expected = "
# -- Test
# How often a shop is read.
# ONHAND_TEST_POLL_INTERVAL_MS=500
# Opens it.
# ONHAND_TEST_KEY_SECRET=
";
        assert_eq!(env_example(GROUPS), format!("{HEADING}{expected}"));
    }
}
