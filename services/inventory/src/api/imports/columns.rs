//! Which column is which, and what separates them: found from the first line.

use super::super::problem::Problem;

const SKU: &[&str] = &[
    "sku",
    "code",
    "item",
    "item_code",
    "product_code",
    "article",
    "article_number",
    "artikelnummer",
    "артикул",
];
const QUANTITY: &[&str] =
    &["quantity", "qty", "amount", "stock", "counted", "on_hand", "menge", "количество"];
const NAME: &[&str] = &["name", "product_name", "title", "bezeichnung", "название", "наименование"];
const WAREHOUSE: &[&str] = &["warehouse", "location", "stock_location", "lager", "склад"];

/// What may separate columns; the first that makes sense of the first line does.
const DELIMITERS: [(u8, char); 3] = [(b';', ';'), (b',', ','), (b'\t', '\t')];

/// Names of columns that are told, in characters.
const TOLD_CHARS_MAX: usize = 40;

/// Where what is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) delimiter: u8,
    pub(super) sku: usize,
    pub(super) quantity: usize,
    pub(super) warehouse: Option<usize>,
    pub(super) name: Option<usize>,
    pub(super) ignored: Vec<String>,
}

impl Columns {
    /// Reads the first line. `named` says whether a warehouse is named elsewhere.
    pub(super) fn find(first_line: &str, named: bool) -> Result<Self, Problem> {
        let mut best: Option<Problem> = None;
        for (delimiter, character) in DELIMITERS {
            match Self::with(first_line, delimiter, named) {
                Ok(columns) => return Ok(columns),
                // What is wrong is told of the separator that is there.
                Err(problem) if first_line.contains(character) && best.is_none() => best = Some(problem),
                Err(_) => {}
            }
        }
        Err(best.unwrap_or_else(|| {
            Problem::invalid(
                "the first line must name the columns `sku`, `quantity` and `warehouse`, separated by `;`, `,` or tab",
            )
        }))
    }

    fn with(first_line: &str, delimiter: u8, named: bool) -> Result<Self, Problem> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .from_reader(first_line.as_bytes());
        let mut record = csv::StringRecord::new();
        reader.read_record(&mut record).map_err(|_| Problem::invalid("the first line is not CSV"))?;
        let names: Vec<String> = record.iter().map(normal).collect();
        let sku = one(&names, SKU)?;
        let quantity = one(&names, QUANTITY)?;
        let warehouse = one(&names, WAREHOUSE)?;
        // Nothing is lost by the wrong one: the first of several is taken.
        let name = names.iter().position(|name| NAME.contains(&name.as_str()));
        let missing = |what: &str| {
            let told: Vec<String> = names.iter().map(|name| told(name)).collect();
            Problem::invalid(format!("there is no column `{what}`; the first line names {}", told.join(", ")))
        };
        let (sku, quantity) =
            (sku.ok_or_else(|| missing("sku"))?, quantity.ok_or_else(|| missing("quantity"))?);
        if warehouse.is_none() && !named {
            return Err(Problem::invalid(
                "there is no column `warehouse`; add one, or name the warehouse of all lines with `warehouse`",
            ));
        }
        let used = [Some(sku), Some(quantity), warehouse, name];
        let ignored = names
            .iter()
            .enumerate()
            .filter(|(index, name)| !used.contains(&Some(*index)) && !name.is_empty());
        let ignored = ignored.map(|(_, name)| told(name)).collect();
        Ok(Self { delimiter, sku, quantity, warehouse, name, ignored })
    }
}

/// The one column that has one of these names.
fn one(names: &[String], synonyms: &[&str]) -> Result<Option<usize>, Problem> {
    let mut found = names.iter().enumerate().filter(|(_, name)| synonyms.contains(&name.as_str()));
    let first = found.next();
    if let (Some((_, first)), Some((_, second))) = (first, found.next()) {
        let [wanted, ..] = synonyms else { return Ok(None) };
        return Err(Problem::invalid(format!(
            "the columns {first:?} and {second:?} could both be the {wanted}; rename one of them"
        )));
    }
    Ok(first.map(|(index, _)| index))
}

/// A name however it is written.
fn normal(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

fn told(name: &str) -> String {
    name.chars().take(TOLD_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(line: &str) -> Option<(char, usize, usize, Option<usize>)> {
        let columns = Columns::find(line, true).ok()?;
        Some((char::from(columns.delimiter), columns.sku, columns.quantity, columns.warehouse))
    }

    #[test]
    fn first_lines() {
        for (line, found) in [
            ("sku;warehouse;quantity", Some((';', 0, 2, Some(1)))),
            ("Quantity,SKU", Some((',', 1, 0, None))),
            ("Item Code\tOn-Hand\tLager", Some(('\t', 0, 1, Some(2)))),
            ("\"sku\",\"name, long\",\"qty\"", Some((',', 0, 2, None))),
            ("Артикул;Количество", Some((';', 0, 1, None))),
            ("sku,warehouse,on_hand,reserved,available,counted_at", Some((',', 0, 2, Some(1)))),
            ("sku;qty;quantity", None),
            ("sku;name", None),
            ("quantity", None),
            ("", None),
        ] {
            assert_eq!(find(line), found, "{line}");
        }
    }

    #[test]
    fn the_warehouse_must_be_named_somewhere() {
        assert!(Columns::find("sku;quantity", false).is_err());
        assert!(Columns::find("sku;quantity;warehouse", false).is_ok());
    }

    #[test]
    fn the_first_of_several_names_is_taken() {
        let columns = Columns::find("sku;title;quantity;name", true).unwrap();
        assert_eq!((columns.name, columns.ignored), (Some(1), vec!["name".to_owned()]));
    }

    #[test]
    fn what_is_not_looked_at_is_told() {
        assert_eq!(Columns::find("sku;Colour;quantity;", true).unwrap().ignored, ["colour"]);
    }
}
