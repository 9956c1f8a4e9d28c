//! `onhand stock import`: a CSV file of any length, sent in bounded memory.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use hyper::body::{Body, Frame, SizeHint};
use indicatif::ProgressBar;
use reqwest::Method;
use serde_json::Value;

use crate::api::Api;
use crate::commands::warehouse::named_or_only;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::screen::{Screen, Table, rows, text};

/// Read from the file at a time, in bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// Sending and applying the whole file.
const IMPORT_TIMEOUT: Duration = Duration::from_mins(30);

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Columns sku and quantity, and warehouse if the lines differ in it; separated by `;`, `,` or tab.
    file: PathBuf,
    /// What the quantities are.
    #[arg(long, value_enum, default_value_t = Mode::Count)]
    mode: Mode,
    /// Where, for lines that do not say; needs not be said if there is only one.
    #[arg(long, short, value_name = "WAREHOUSE")]
    warehouse: Option<String>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// What is there: on hand is set to it.
    Count,
    /// What came in: it is added.
    Receive,
}

impl Import {
    pub(super) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let warehouse = named_or_only(api, self.warehouse.clone()).await?;
        let mode = match self.mode {
            Mode::Count => "count",
            Mode::Receive => "receive",
        };
        let query =
            [("dry_run", self.dry_run.to_string()), ("mode", mode.to_owned()), ("warehouse", warehouse)];
        let (body, progress) = open(&self.file)?;
        let request = api
            .request(Method::POST, &["imports"])
            .query(&query)
            .header(reqwest::header::CONTENT_TYPE, "text/csv")
            .timeout(IMPORT_TIMEOUT)
            .body(reqwest::Body::wrap(body));
        let report = api.call(request).await?;
        progress.done();
        screen.show(&report, |screen| show(screen, &report, self.dry_run))?;
        match refused(&report) {
            0 => Ok(()),
            count => Err(Failure::ImportRefused { count }),
        }
    }
}

fn refused(report: &Value) -> u64 {
    let counted = report.get("refused").and_then(Value::as_u64);
    counted.unwrap_or_else(|| u64::try_from(rows(report, "problems").len()).unwrap_or(u64::MAX))
}

fn show(screen: Screen, report: &Value, dry_run: bool) -> Result<(), Failure> {
    let mut table = Table::new(&[">LINE", "WHAT IS WRONG"]);
    for problem in rows(report, "problems") {
        table.row([text(problem, "line"), text(problem, "problem")]);
    }
    if refused(report) > 0 {
        return screen.table(&table, "some lines cannot be imported");
    }
    let what = if dry_run { "lines could be imported" } else { "lines imported" };
    screen.line(format!("{} {what}, {} changed something", text(report, "lines"), text(report, "changed")))
}

fn open(path: &Path) -> Result<(FileBody, Progress), Failure> {
    let failed = |source| Failure::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let progress = Progress::bytes("sending", total);
    Ok((FileBody { file, left: total, bar: progress.handle() }, progress))
}

/// A file as the body of a request. Reading it is not worth a thread: pieces are small and come from the page cache.
struct FileBody {
    file: std::fs::File,
    left: u64,
    bar: ProgressBar,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let body = self.get_mut();
        let mut piece = vec![0; PIECE_BYTES];
        // Not more than was there when it was opened: the length has been announced.
        let read = (&mut body.file).take(body.left).read(&mut piece);
        Poll::Ready(match read {
            Ok(0) if body.left > 0 => Some(Err(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(0) => None,
            Ok(count) => {
                piece.truncate(count);
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                body.left = body.left.saturating_sub(count);
                body.bar.inc(count);
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
