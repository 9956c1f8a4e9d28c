//! Several statements made one, so that what a batch writes is one round trip and not one for each kind of row.

/// The statements as one, the last of which answers. Each keeps its parameters, which are given one after the other; all see
/// what was there before the first. None may need what another of them wrote.
pub(super) fn combined(statements: &[&str]) -> String {
    let Some((last, before)) = statements.split_last() else { return String::new() };
    let mut whole = String::new();
    let mut given = 0;
    for (place, statement) in before.iter().enumerate() {
        let (shifted, count) = shift(statement, given);
        let begin = if place == 0 { "WITH" } else { "," };
        whole.extend([begin, " s", &place.to_string(), " AS (", &shifted, ")"]);
        given += count;
    }
    if !before.is_empty() {
        whole.push(' ');
    }
    whole.push_str(&shift(last, given).0);
    whole
}

/// The statement with the numbers of its parameters raised by `by`; how many it has.
fn shift(statement: &str, by: usize) -> (String, usize) {
    let mut parts = statement.split('$');
    let mut shifted = parts.next().unwrap_or_default().to_owned();
    let mut count = 0;
    for part in parts {
        let digits = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(digits);
        let number: usize = number.parse().unwrap_or_default();
        count = count.max(number);
        shifted.extend(["$", &(number + by).to_string(), rest]);
    }
    (shifted, count)
}

#[cfg(test)]
mod tests {
    use super::combined;

    #[test]
    fn parameters_follow_each_other() {
        let whole = combined(&["ONE ($1, $2)", "TWO c = $1", "THREE e = $2 AND f = $1"]);
        assert_eq!(whole, "WITH s0 AS (ONE ($1, $2)), s1 AS (TWO c = $3) THREE e = $5 AND f = $4");
        assert_eq!(combined(&["ONE $12"]), "ONE $12");
    }
}
