//! Why a command did not do what it was asked, and the exit code that says so to scripts.

use std::path::PathBuf;
use std::process::ExitCode;

use process::config::{EXIT_CODE_CONFIG, Problems};

/// Shown by `--help`.
pub(crate) const EXIT_CODES_HELP: &str = "\
Exit codes:
   0  done
   1  the answer is no: refused, or a check found something
   2  the command line is wrong
   3  a shop showed something else than it should
   4  a shop was compared, but not every stock could be decided
  64  a setting is wrong
  66  a file cannot be read or written
  69  onhand cannot be reached
  70  onhand failed inside
  75  not now: onhand is busy, a shop does not answer, or it was cut off while stopping; try again
  77  the token is missing, unknown or does not allow this";

const REFUSED: u8 = 1;
/// Not an error: what was asked for was done, and this is its answer.
const DRIFTED: u8 = 3;
/// As above.
const UNDECIDED: u8 = 4;
const FILE: u8 = 66;
const UNREACHABLE: u8 = 69;
const INTERNAL: u8 = 70;
const NOT_NOW: u8 = 75;
const NOT_ALLOWED: u8 = 77;

/// Why one row of a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// Rows count from 1; lines of a file as an editor counts them.
    pub row: u64,
    pub problem: String,
}

/// Why a command failed. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Settings(#[from] Problems),
    #[error(
        "cannot reach onhand at {url}; start it with `onhand up`, or say where it is with --server or ONHAND_URL"
    )]
    Unreachable { url: String, source: reqwest::Error },
    #[error("onhand at {url} did not answer; what was asked may have been done: look before you ask again")]
    NoAnswer { url: String, source: reqwest::Error },
    #[error(
        "onhand at {url} did not answer; repeat it with --key {key}, then it is done once, whether it was done by now or not"
    )]
    Unsure { url: String, key: String },
    #[error("{url} is not an address of onhand; it looks like http://127.0.0.1:8017")]
    Address { url: String },
    #[error("the HTTP client cannot be made")]
    Client { source: reqwest::Error },
    #[error(
        "there is no token: {} does not exist; run this where `onhand up` keeps its data (--data-dir), or give a token with --token-file or ONHAND_TOKEN",
        path.display()
    )]
    NoToken { path: PathBuf },
    #[error("the token cannot be sent: it has characters that no token has")]
    TokenText,
    /// onhand said no, and why.
    #[error("{title}{}", if detail.is_empty() { String::new() } else { format!(": {detail}") })]
    Answered { status: u16, title: String, detail: String, rows: Vec<RefusedRow> },
    #[error(
        "onhand at {url} answered in a way this program does not understand (status {status}); are both of the same version?"
    )]
    Strange { url: String, status: u16 },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot write the output")]
    Output { source: std::io::Error },
    #[error("{} holds no {what}; it wants the bare text in one line", path.display())]
    EmptySecret { what: &'static str, path: PathBuf },
    #[error(
        "standard input ended before the {what}; each `-` takes one line, in the order key, secret, webhook secret"
    )]
    NoSecretLine { what: &'static str },
    #[error(
        "the {what} is missing; give --{flag} or, better, --{flag}-file FILE (`-` reads a line of standard input)"
    )]
    SecretMissing { what: &'static str, flag: &'static str },
    #[error("{text} is not a quantity; it wants a number such as 12 or 0.5")]
    Quantity { text: String },
    #[error("{text} is not a product of a shop; it wants PRODUCT or PRODUCT:VARIATION, as in 123 or 123:456")]
    Listing { text: String },
    #[error("say which warehouse with --warehouse; there are {}", if names.is_empty() { "none yet: add one with `onhand warehouse add`".to_owned() } else { names.join(", ") })]
    WhichWarehouse { names: Vec<String> },
    #[error("{what} {name} is not there; {list} shows those that are")]
    NotThere { what: &'static str, name: String, list: &'static str },
    #[error(
        "`onhand shop remove {name}` forgets its keys and stops pushing to it for good; add --yes to do it"
    )]
    NotConfirmed { name: String },
    #[error("say what to change of shop {name}; `onhand shop set --help` lists what can be")]
    NothingToSet { name: String },
    #[error(
        "shop {shop} is added but not in service: {cause}\n\
         Correct it with `onhand shop set {shop}`, then `onhand shop sync {shop}` connects it; \
         or take it out with `onhand shop remove {shop} --yes`"
    )]
    NotConnected { shop: String, cause: String },
    #[error("the shop cannot be read: {cause}; nothing was changed. Added, `onhand shop test` says more")]
    ShopNotRead { cause: String },
    #[error("{kind} of shop {shop} failed: {cause}")]
    TaskFailed { kind: String, shop: String, cause: String },
    #[error(
        "shop {shop} could not be read for {seconds} seconds: {cause}\n\
         The {kind} is still tried; `onhand shop show {shop}` tells how reading it goes, `onhand shop test {shop}` what is in the way"
    )]
    ShopAway { kind: String, shop: String, seconds: u64, cause: String },
    #[error("{count} stocks of shop {shop} showed something else than they should; see above what was done")]
    Drifted { shop: String, count: u64 },
    #[error("{count} stocks of shop {shop} could not be decided; compare them again later")]
    Undecided { shop: String, count: u64 },
    #[error("the comparison of shop {shop} failed: {cause}")]
    ComparisonFailed { shop: String, cause: String },
    #[error("comparison {id} has not ended; `onhand reconcile show {id}` tells what it found")]
    ComparisonSlow { id: String },
    #[error("shop {shop} cannot be used yet; see the findings above")]
    ShopUnusable { shop: String },
    #[error(
        "nobody is told of alerts: set ONHAND_ALERT_WEBHOOK_URL or ONHAND_ALERT_SMTP_URL where `onhand up` or `onhand serve inventory` runs"
    )]
    NobodyIsTold,
    #[error("{count} of the ways above did not take the test")]
    NotTold { count: usize },
    #[error("{count} lines cannot be imported; nothing was changed")]
    ImportRefused { count: u64 },
    #[error("{count} products could not be changed in the shop; see above")]
    NotFixed { count: u64 },
    #[error(
        "the ledger is broken in {count} places; stop onhand, keep a copy of its data, and look into it before you go on"
    )]
    Broken { count: usize },
    #[error(transparent)]
    Start(#[from] crate::standalone::StartError),
    #[error(transparent)]
    Serve(#[from] crate::distributed::ServeError),
    #[error("the demo cannot go on")]
    Demo(#[from] crate::demo::DemoError),
    #[error("onhand and the shops do not agree; the summary above says where")]
    Disagree,
    /// It was stopped and says so in its own exit code.
    #[error("{}", exit_text(.0))]
    Stopped(process::Exit),
}

fn exit_text(exit: &process::Exit) -> String {
    match exit {
        process::Exit::Stopped => "stopped".to_owned(),
        process::Exit::TaskEnded(early) => early.to_string(),
        process::Exit::Overdue(tasks) => {
            format!(
                "cut off before they had ended: {}; nothing is lost, the work is taken up again",
                tasks.join(", ")
            )
        }
    }
}

impl Failure {
    /// The process's exit code.
    pub fn code(&self) -> ExitCode {
        match self {
            Self::Stopped(exit) => exit.code(),
            other => ExitCode::from(other.number()),
        }
    }

    /// Somebody closed our output, as `head` does: no mistake of anybody's.
    pub fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output { source } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }

    fn number(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Address { .. } => EXIT_CODE_CONFIG,
            Self::Unreachable { .. } | Self::NoAnswer { .. } | Self::Unsure { .. } => UNREACHABLE,
            Self::NoToken { .. } | Self::TokenText => NOT_ALLOWED,
            Self::Answered { status, .. } => of_status(*status),
            Self::Read { .. } | Self::Write { .. } | Self::EmptySecret { .. } => FILE,
            Self::Start(error) => error.number(),
            Self::Serve(error) => error.number(),
            Self::Client { .. }
            | Self::Strange { .. }
            | Self::Output { .. }
            | Self::Demo(_)
            | Self::Stopped(_) => INTERNAL,
            Self::NoSecretLine { .. }
            | Self::SecretMissing { .. }
            | Self::Quantity { .. }
            | Self::Listing { .. }
            | Self::WhichWarehouse { .. }
            | Self::NotConfirmed { .. }
            | Self::NothingToSet { .. } => 2,
            Self::Drifted { .. } => DRIFTED,
            Self::Undecided { .. } => UNDECIDED,
            Self::ComparisonSlow { .. } | Self::ShopAway { .. } => NOT_NOW,
            Self::NotThere { .. }
            | Self::ShopNotRead { .. }
            | Self::TaskFailed { .. }
            | Self::ComparisonFailed { .. }
            | Self::NotConnected { .. }
            | Self::ShopUnusable { .. }
            | Self::ImportRefused { .. }
            | Self::NotFixed { .. }
            | Self::NobodyIsTold
            | Self::NotTold { .. }
            | Self::Broken { .. }
            | Self::Disagree => REFUSED,
        }
    }
}

fn of_status(status: u16) -> u8 {
    match status {
        401 | 403 => NOT_ALLOWED,
        429 | 503 => NOT_NOW,
        400..=499 => REFUSED,
        _ => INTERNAL,
    }
}
