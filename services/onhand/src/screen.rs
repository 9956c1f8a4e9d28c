//! What a command prints: JSON for programs, aligned tables for people.

use std::io::Write;

use console::{Alignment, measure_text_width, pad_str, style};
use serde_json::Value;

use crate::failure::Failure;

/// Between two columns.
const GAP: &str = "  ";

/// Where a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Answers are printed as they came.
    pub(crate) json: bool,
}

/// Rows under a head.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<(&'static str, Alignment)>,
    rows: Vec<Vec<String>>,
}

impl Screen {
    /// The answer as it is, or what `human` makes of it.
    pub(crate) fn show(
        self,
        answer: &Value,
        human: impl FnOnce(Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.json { self.value(answer) } else { human(self) }
    }

    pub(crate) fn value(self, value: &Value) -> Result<(), Failure> {
        self.line(format!("{value:#}"))
    }

    #[expect(clippy::unused_self, reason = "who prints has a screen")]
    pub(crate) fn line(self, line: impl AsRef<str>) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", line.as_ref()).map_err(|source| Failure::Output { source })
    }

    /// A sentence for people; nothing if programs read.
    pub(crate) fn say(self, line: impl AsRef<str>) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.line(line) }
    }

    /// The table, or `empty` if it has no rows.
    pub(crate) fn table(self, table: &Table, empty: &str) -> Result<(), Failure> {
        if table.rows.is_empty() {
            return self.line(empty);
        }
        let lines = table.lines();
        for (number, line) in lines.iter().enumerate() {
            if number == 0 { self.line(style(line).bold().to_string())? } else { self.line(line)? }
        }
        Ok(())
    }
}

impl Table {
    /// A `>` before a column's name aligns it to the right.
    pub(crate) fn new(head: &[&'static str]) -> Self {
        let column = |name: &&'static str| match name.strip_prefix('>') {
            Some(name) => (name, Alignment::Right),
            None => (*name, Alignment::Left),
        };
        Self { head: head.iter().map(column).collect(), rows: Vec::new() }
    }

    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| printable(cell.as_ref())).collect();
        debug_assert_eq!(cells.len(), self.head.len(), "one cell for each column");
        self.rows.push(cells);
    }

    fn lines(&self) -> Vec<String> {
        let head: Vec<String> = self.head.iter().map(|(name, _)| (*name).to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                all.iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| measure_text_width(cell))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        all.iter()
            .map(|row| {
                let cells = row.iter().zip(&self.head).zip(&widths);
                let cells =
                    cells.map(|((cell, (_, alignment)), width)| pad_str(cell, *width, *alignment, None));
                cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
            })
            .collect()
    }
}

/// Names come from shops: what would move the cursor or colour the terminal is shown as a mark.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A field of an answer as text; `-` if it is not there.
pub(crate) fn text(value: &Value, name: &str) -> String {
    as_text(value.get(name))
}

/// A value as text; `-` if there is none.
pub(crate) fn as_text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| as_text(Some(item))).collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    }
}

/// The rows of a list or of a field that is one.
pub(crate) fn rows<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let mut table = Table::new(&["SKU", ">available", "name"]);
        table.row(["tee", "12", "a shirt"]);
        table.row(["茶杯", "-3.5", "\u{1b}[31mred"]);
        let expected =
            ["SKU   available  name", "tee          12  a shirt", "茶杯       -3.5  \u{fffd}[31mred"];
        assert_eq!(table.lines(), expected);
    }
}
