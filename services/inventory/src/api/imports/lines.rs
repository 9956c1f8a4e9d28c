//! The lines of a file that was spilled: one at a time, each right or with what is wrong with it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use values::{Quantity, Sku, WarehouseId};

use super::super::names::Warehouses;
use super::super::operations::bad_quantity;
use super::super::problem::Problem;
use super::columns::Columns;
use super::{LineProblem, Mode, number};

/// Longest first line, in bytes.
const FIRST_LINE_BYTES_MAX: usize = 16 << 10;
/// Longest name of a SKU that is kept, in characters.
const NAME_CHARS_MAX: usize = 200;
/// How texts begin that a spreadsheet would take for formulas; an export puts a `'` before them.
const FORMULA_STARTS: [char; 5] = ['=', '+', '-', '@', '\''];
const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";
const UTF16_MARKS: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

/// What lines are read with.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) warehouses: Warehouses,
    /// Of lines that name none.
    pub(super) default: Option<WarehouseId>,
    pub(super) mode: Mode,
}

/// A line that is right.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) sku: Sku,
    pub(super) warehouse: WarehouseId,
    pub(super) quantity: Quantity,
    /// What it is called; `None` if the line does not say.
    pub(super) name: Option<String>,
}

/// The lines of a file.
pub(super) struct Lines {
    reader: csv::Reader<File>,
    /// Where the first line starts.
    start: u64,
    columns: Columns,
    terms: Arc<Terms>,
    record: csv::ByteRecord,
}

impl Lines {
    /// Finds out how the file is made.
    pub(super) fn open(mut file: File, terms: Arc<Terms>) -> Result<Self, Problem> {
        let head = head(&mut file).map_err(Problem::internal)?;
        if UTF16_MARKS.iter().any(|mark| head.starts_with(mark)) || head.contains(&0) {
            return Err(Problem::invalid("the file is not UTF-8; save it as CSV in UTF-8"));
        }
        let text = head.strip_prefix(UTF8_MARK).unwrap_or(&head);
        let start = if text.len() == head.len() { 0 } else { UTF8_MARK.len() };
        let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        if end.is_none() && text.len() > FIRST_LINE_BYTES_MAX - UTF8_MARK.len() {
            return Err(Problem::invalid("the first line, which names the columns, is too long"));
        }
        let first_line = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
        let first_line = std::str::from_utf8(first_line)
            .map_err(|_| Problem::invalid("the first line is not UTF-8; save the file as CSV in UTF-8"))?;
        let columns = Columns::find(first_line, terms.default.is_some())?;
        let start = u64::try_from(start).unwrap_or_default();
        let reader = reader(file, start, &columns)?;
        Ok(Self { reader, start, columns, terms, record: csv::ByteRecord::new() })
    }

    pub(super) fn mode(&self) -> Mode {
        self.terms.mode
    }

    pub(super) fn ignored(&self) -> &[String] {
        &self.columns.ignored
    }

    /// Back to the first line.
    pub(super) fn rewind(&mut self) -> Result<(), Problem> {
        let file = self.reader.get_ref().try_clone().map_err(Problem::internal)?;
        self.reader = reader(file, self.start, &self.columns)?;
        Ok(())
    }

    /// The next line that is not empty.
    pub(super) fn next(&mut self) -> Result<Option<Result<Line, LineProblem>>, Problem> {
        loop {
            let more = self.reader.read_byte_record(&mut self.record).map_err(Problem::internal)?;
            if !more {
                return Ok(None);
            }
            if self.record.iter().any(|field| !field.trim_ascii().is_empty()) {
                let number = self.record.position().map_or(0, csv::Position::line);
                let line = self.line(number).map_err(|problem| LineProblem { line: number, problem });
                return Ok(Some(line));
            }
        }
    }

    fn line(&self, number: u64) -> Result<Line, String> {
        let sku = inert(self.field(self.columns.sku)?);
        let sku: Sku = sku.parse().map_err(|error| format!("{error}"))?;
        let named = self.columns.warehouse.map(|column| self.field(column)).transpose()?;
        let warehouse = match named.map(inert).filter(|name| !name.is_empty()) {
            Some(name) => self.terms.warehouses.find_owned(name)?,
            None => self.terms.default.ok_or_else(|| "it names no warehouse".to_owned())?,
        };
        let quantity = number::quantity(self.field(self.columns.quantity)?)?;
        let name = self.columns.name.map(|column| self.field(column)).transpose()?.map(inert);
        let name =
            name.filter(|name| !name.is_empty()).map(|name| name.chars().take(NAME_CHARS_MAX).collect());
        let line = Line { number, sku, warehouse, quantity, name };
        match bad_quantity(&line.operation(self.terms.mode)) {
            Some(problem) => Err(problem.to_owned()),
            None => Ok(line),
        }
    }

    fn field(&self, column: usize) -> Result<&str, String> {
        let field = self
            .record
            .get(column)
            .ok_or_else(|| format!("it has only {} columns; the first line names more", self.record.len()))?;
        std::str::from_utf8(field).map(str::trim).map_err(|_| "it is not UTF-8".to_owned())
    }
}

fn head(file: &mut File) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    let limit = u64::try_from(FIRST_LINE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut head)?;
    Ok(head)
}

fn reader(mut file: File, start: u64, columns: &Columns) -> Result<csv::Reader<File>, Problem> {
    file.seek(SeekFrom::Start(start)).map_err(Problem::internal)?;
    Ok(csv::ReaderBuilder::new().delimiter(columns.delimiter).flexible(true).from_reader(file))
}

/// The text as it was before an export made it safe for spreadsheets.
pub(in super::super) fn inert(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA_STARTS)).unwrap_or(text)
}
