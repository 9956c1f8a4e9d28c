//! `onhand stock import`: a CSV file of any length, sent in bounded memory. What comes over standard input is kept in memory.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use hyper::body::{Body, Frame, SizeHint};
use indicatif::ProgressBar;
use reqwest::Method;
use serde_json::{Value, json};

use super::Key;
use crate::api::Api;
use crate::commands::warehouse::named_or_only;
use crate::failure::{Failure, RefusedRow};
use crate::progress::Progress;
use crate::screen::{Screen, Table, as_text, rows, text};
use crate::secret_input::STANDARD_INPUT;

/// Taken over standard input at most, in bytes: a server takes no larger table.
const KEPT_BYTES_MAX: u64 = 16 << 20;
const TOO_MUCH: &str = "more than 16 MiB came over standard input, which no server takes; split the table";
/// Read from the file at a time, in bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// Sending and applying the whole file.
const IMPORT_TIMEOUT: Duration = Duration::from_mins(30);

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// A line names the columns: sku, quantity and, if the lines differ in it, warehouse; separated by `;`, `,` or tab. `-` is
    /// standard input.
    file: PathBuf,
    /// What the quantities are.
    #[arg(long, value_enum, default_value_t = Mode::Count)]
    mode: Mode,
    /// Where, for lines that do not say; needs not be said if there is only one.
    #[arg(long, short, value_name = "WAREHOUSE")]
    warehouse: Option<String>,
    /// Why, for adjustments.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    key: Key,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// What is there: on hand is set to it.
    Count,
    /// What came in: it is added.
    Receive,
    /// Corrections: added, taken off if negative.
    Adjust,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Receive => "receive",
            Self::Adjust => "adjust",
        }
    }
}

impl Import {
    pub(super) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let mut query = vec![("dry_run", self.dry_run.to_string()), ("mode", self.mode.word().to_owned())];
        query.extend(self.warehouse(api).await?.map(|name| ("warehouse", name)));
        query.extend(self.reason.clone().map(|reason| ("reason", reason)));
        let failed = |source| Failure::Read { path: self.file.clone(), source };
        let source = Source::of(&self.file).map_err(failed)?;
        let progress = Progress::bytes("sending");
        let make = || {
            let body = FileBody::open(&source, &progress).map_err(failed)?;
            let request = api.request(Method::POST, &["imports"]).query(&query);
            let request = request.header(reqwest::header::CONTENT_TYPE, "text/csv").timeout(IMPORT_TIMEOUT);
            Ok(request.body(reqwest::Body::wrap(body)))
        };
        let answer = api.once(self.key.key.as_deref(), make).await;
        progress.done();
        let report = match answer {
            Err(Failure::Answered { rows, .. }) if !rows.is_empty() => refusal(&rows),
            answer => answer?,
        };
        screen.show(&report, |screen| show(screen, &report, self.dry_run))?;
        match report.get("refused").and_then(Value::as_u64) {
            Some(0) => Ok(()),
            count => Err(Failure::ImportRefused { count: count.unwrap_or_default() }),
        }
    }

    /// The one asked for, or the only one; none if the lines have to say.
    async fn warehouse(&self, api: &Api) -> Result<Option<String>, Failure> {
        match named_or_only(api, self.warehouse.clone()).await {
            Err(Failure::WhichWarehouse { .. }) => Ok(None),
            named => named.map(Some),
        }
    }
}

/// The report of a file of which nothing was imported, as a dry run would have given it.
pub(crate) fn refusal(rows: &[RefusedRow]) -> Value {
    let problems: Vec<Value> =
        rows.iter().map(|row| json!({ "line": row.row, "problem": row.problem })).collect();
    json!({ "refused": problems.len(), "changed": 0, "problems": problems })
}

fn show(screen: Screen, report: &Value, dry_run: bool) -> Result<(), Failure> {
    let ignored = rows(report, "ignored_columns");
    if !ignored.is_empty() {
        screen.line(format!("columns not looked at: {}", as_text(report.get("ignored_columns"))))?;
    }
    let mut table = Table::new(&[">LINE", "WHAT IS WRONG"]);
    for problem in rows(report, "problems") {
        table.row([text(problem, "line"), text(problem, "problem")]);
    }
    if report.get("refused").and_then(Value::as_u64) != Some(0) {
        return screen.table(&table, "some lines cannot be imported");
    }
    let (lines, changed) = (text(report, "lines"), text(report, "changed"));
    if dry_run {
        return screen
            .line(format!("{lines} lines could be imported, {changed} of them would change something"));
    }
    screen.line(format!("{lines} lines imported, {changed} of them changed something"))
}

/// Where the table comes from: an attempt that was cut off is made again, from its start.
enum Source<'a> {
    File(&'a Path),
    /// What came over standard input.
    Kept(Bytes),
}

impl<'a> Source<'a> {
    fn of(path: &'a Path) -> io::Result<Self> {
        if path.as_os_str() != STANDARD_INPUT {
            return Ok(Self::File(path));
        }
        keep(io::stdin().lock()).map(Self::Kept)
    }

    /// From the start, and how long it is.
    fn open(&self) -> io::Result<(Box<dyn Read + Send + Sync>, u64)> {
        Ok(match self {
            Self::File(path) => {
                let file = File::open(path)?;
                let length = file.metadata()?.len();
                (Box::new(file), length)
            }
            Self::Kept(kept) => {
                let length = u64::try_from(kept.len()).unwrap_or(u64::MAX);
                (Box::new(Cursor::new(kept.clone())), length)
            }
        })
    }
}

fn keep(input: impl Read) -> io::Result<Bytes> {
    let mut kept = Vec::new();
    let read = input.take(KEPT_BYTES_MAX + 1).read_to_end(&mut kept)?;
    if u64::try_from(read).is_ok_and(|read| read <= KEPT_BYTES_MAX) {
        Ok(kept.into())
    } else {
        Err(io::Error::other(TOO_MUCH))
    }
}

/// All that is in a file, or that comes over standard input.
pub(crate) fn read_whole(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = || {
        let mut whole = Vec::new();
        Source::of(path)?.open()?.0.read_to_end(&mut whole)?;
        Ok(whole)
    };
    read().map_err(|source| Failure::Read { path: path.to_owned(), source })
}

/// A table as the body of a request. Reading it is not worth a thread: pieces are small and come from the page cache.
struct FileBody {
    file: Box<dyn Read + Send + Sync>,
    left: u64,
    bar: ProgressBar,
}

impl FileBody {
    fn open(source: &Source<'_>, progress: &Progress) -> io::Result<Self> {
        let (file, left) = source.open()?;
        progress.show("sending", 0, left);
        Ok(Self { file, left, bar: progress.handle() })
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let body = self.get_mut();
        let mut piece = vec![0; PIECE_BYTES];
        // Not more than was there when it was opened: the length has been announced.
        let read = (&mut body.file).take(body.left).read(&mut piece);
        Poll::Ready(match read {
            Ok(0) if body.left > 0 => Some(Err(io::ErrorKind::UnexpectedEof.into())),
            Ok(0) => None,
            Ok(count) => {
                piece.truncate(count);
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                body.left = body.left.saturating_sub(count);
                body.bar.inc(count);
                if body.left == 0 {
                    body.bar.set_message("applying");
                }
                Some(Ok(Frame::data(piece.into())))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, repeat};

    use super::{KEPT_BYTES_MAX, Source, keep};

    #[test]
    fn no_more_is_kept_than_a_server_takes() {
        assert!(keep(repeat(b'1')).unwrap_err().to_string().contains("split the table"), "it never ends");
        assert!(keep(repeat(b'1').take(KEPT_BYTES_MAX)).is_ok());
    }

    #[test]
    fn each_attempt_reads_from_the_start() {
        let source = Source::Kept(keep(&b"sku,quantity"[..]).unwrap());
        let (mut first, length) = source.open().unwrap();
        assert_eq!(length, 12);
        first.read_exact(&mut [0; 5]).unwrap();
        let mut second = String::new();
        source.open().unwrap().0.read_to_string(&mut second).unwrap();
        assert_eq!(second, "sku,quantity", "although the first has read some");
        let mut rest = String::new();
        first.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "uantity", "and is where it was");
    }
}
