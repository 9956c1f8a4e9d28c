//! How far long work has come, for people who wait; silent when nobody looks at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a bar without news moves.
const TICK: Duration = Duration::from_millis(120);

/// A bar on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Counts things.
    pub(crate) fn counting(what: &str) -> Self {
        Self::with_template(what, "{spinner} {msg} {bar:30} {human_pos}/{human_len} {elapsed}")
    }

    /// Counts bytes.
    pub(crate) fn bytes(what: &str) -> Self {
        Self::with_template(what, "{spinner} {msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}")
    }

    fn with_template(what: &str, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        bar.set_style(style);
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(TICK);
        Self { bar }
    }

    pub(crate) fn show(&self, what: &str, done: u64, total: u64) {
        self.bar.set_message(what.to_owned());
        self.bar.set_length(total.max(done));
        self.bar.set_position(done);
    }

    /// A line that stays, on standard error; told where nobody looks at a terminal, too.
    #[expect(clippy::print_stderr, reason = "progress of a command line tool")]
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }

    /// The bar itself, to be moved by a body that is being sent.
    pub(crate) fn handle(&self) -> ProgressBar {
        self.bar.clone()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}
