//! How a command finds the running onhand and proves who it is: flags, then the environment, then the data directory.

use std::path::{Path, PathBuf};

use process::config::{self, Group, OptionalSetting, Reader, Setting, Source};
use secrecy::SecretString;

use crate::arguments::Global;
use crate::failure::Failure;
use crate::secret_input;

/// Where `onhand up` listens unless told otherwise.
pub(crate) const LISTEN_DEFAULT: &str = "127.0.0.1:8017";
const URL_DEFAULT: &str = "http://127.0.0.1:8017";

/// The file in the data directory that holds the administrator's token.
pub(crate) const ADMIN_TOKEN_FILE: &str = "admin.token";

/// Below the home directory.
const DATA_DIR_IN_HOME: &str = ".local/share/onhand";
/// Where there is no home directory.
const DATA_DIR_WITHOUT_HOME: &str = "onhand-data";

const URL: Setting<String> =
    Setting::url("ONHAND_URL", "Where the commands find onhand.", &["http", "https"]).or(URL_DEFAULT);
const TOKEN: OptionalSetting<SecretString> = Setting::secret(
    "ONHAND_TOKEN",
    "The token the commands show; without it they use `admin.token` of the data directory.",
)
.optional();
pub(crate) const DATA_DIR: OptionalSetting<PathBuf> = Setting::path(
    "ONHAND_DATA_DIR",
    "Where `onhand up` keeps everything; without it `~/.local/share/onhand`.",
)
.optional();
const PUBLIC_URL: OptionalSetting<String> = Setting::url(
    "ONHAND_PUBLIC_URL",
    "How shops reach onhand from outside: where their webhooks are delivered, and the keys they grant.",
    &["http", "https"],
)
.optional();

const MAKE_WEBHOOKS: Setting<bool> = Setting::switch(
    "ONHAND_MAKE_WEBHOOKS",
    "Whether onhand makes the webhooks in each shop and keeps them, where `ONHAND_PUBLIC_URL` is set; else people do.",
    true,
);

/// How shops reach onhand from outside, and who makes the webhooks by which they do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Public {
    pub(crate) url: Option<String>,
    /// onhand does, if it knows its address.
    pub(crate) makes_webhooks: bool,
}

impl Public {
    pub(crate) fn from_source(reader: &mut Reader<'_>) -> Self {
        Self { url: reader.get_optional(&PUBLIC_URL), makes_webhooks: reader.get(&MAKE_WEBHOOKS) }
    }

    /// The address for which webhooks are made; `None`: they are made by hand.
    pub(crate) fn for_webhooks(&self) -> Option<String> {
        self.url.clone().filter(|_| self.makes_webhooks)
    }
}

/// The settings of every command.
pub const GROUP: Group = Group {
    title: "Command line",
    about: "A flag of the same name goes before its setting.",
    settings: &[
        URL.declaration(),
        TOKEN.declaration(),
        DATA_DIR.declaration(),
        PUBLIC_URL.declaration(),
        MAKE_WEBHOOKS.declaration(),
    ],
};

/// What is needed to call onhand.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Without a slash at the end.
    pub(crate) url: String,
    pub(crate) token: SecretString,
    /// How shops reach it, if that is another address.
    pub(crate) public_url: Option<String>,
}

impl Connection {
    /// From flags, environment and data directory.
    pub(crate) fn find(global: &Global) -> Result<Self, Failure> {
        let mut source = Source::environment();
        if let Some(url) = &global.server {
            source.set("ONHAND_URL", url);
        }
        let groups = [GROUP, crate::up::GROUP];
        let (url, token, data_dir, public_url) = config::read(&source, &groups, |reader| {
            (
                reader.get(&URL),
                reader.get_optional(&TOKEN),
                reader.get_optional(&DATA_DIR),
                reader.get_optional(&PUBLIC_URL),
            )
        })?;
        let token = match (&global.token_file, token) {
            (Some(path), _) => secret_input::from_file(path, "token")?,
            (None, Some(token)) => token,
            (None, None) => admin_token(&data_dir_or_default(global.data_dir.clone().or(data_dir)))?,
        };
        Ok(Self { url: url.trim_end_matches('/').to_owned(), token, public_url })
    }
}

/// The data directory of a command that works on it.
pub(crate) fn data_dir(global: &Global) -> Result<PathBuf, Failure> {
    let groups = [GROUP, crate::up::GROUP];
    let set = config::read(&Source::environment(), &groups, |reader| reader.get_optional(&DATA_DIR))?;
    Ok(data_dir_or_default(global.data_dir.clone().or(set)))
}

fn admin_token(data_dir: &Path) -> Result<SecretString, Failure> {
    let path = data_dir.join(ADMIN_TOKEN_FILE);
    if !path.exists() {
        return Err(Failure::NoToken { path });
    }
    secret_input::from_file(&path, "token")
}

/// The directory asked for, or the one for this user.
pub(crate) fn data_dir_or_default(asked: Option<PathBuf>) -> PathBuf {
    asked.unwrap_or_else(|| match std::env::home_dir() {
        Some(home) if !home.as_os_str().is_empty() => home.join(DATA_DIR_IN_HOME),
        _ => PathBuf::from(DATA_DIR_WITHOUT_HOME),
    })
}
