//! How rows get their names: by what they always differ in, and by those conditions that tell rows of the same file apart.

use super::{Column, Row};
use std::collections::{BTreeMap, BTreeSet};

/// Joins rows of the same name into one with the values of all. Conditions that differ between rows of one name become part of
/// their names first, so that only repetitions are joined.
pub(super) fn joined(rows: Vec<Row>) -> Vec<Row> {
    let mut conditions: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for row in &rows {
        let known = conditions.entry(&row.name).or_default();
        for (fact, value) in &row.facts {
            known.entry(fact).or_default().insert(value);
        }
    }
    let telling: BTreeSet<(String, String)> = conditions
        .iter()
        .flat_map(|(name, facts)| facts.iter().map(move |(fact, values)| (name, fact, values)))
        .filter(|(_, _, values)| values.len() > 1)
        .map(|(name, fact, _)| ((*name).to_owned(), (*fact).to_owned()))
        .collect();
    let mut all: Vec<Row> = Vec::new();
    for mut row in rows {
        let tells = |fact: &str| telling.contains(&(row.name.clone(), fact.to_owned()));
        let more: Vec<String> =
            row.facts.iter().filter(|(fact, _)| tells(fact)).map(|(fact, value)| format!(", {fact} {value}")).collect();
        row.name += &more.concat();
        match all.iter_mut().find(|known| known.name == row.name) {
            Some(known) => add(known, row),
            None => all.push(row),
        }
    }
    all
}

fn add(row: &mut Row, more: Row) {
    for column in more.columns {
        match row.columns.iter_mut().find(|known| known.name == column.name) {
            Some(known) => merge(known, column),
            None => row.columns.push(column),
        }
    }
}

fn merge(column: &mut Column, more: Column) {
    column.values.extend(more.values);
    column.error = match (column.error, more.error) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    };
}

#[cfg(test)]
mod tests {
    use super::super::Quantity;
    use super::*;

    fn row(cache: &str, values: &[f64]) -> Row {
        let columns = Column::of("decode", Quantity::TokensPerSecond, values, None).into_iter().collect();
        Row {
            name: "tiny".to_owned(),
            facts: vec![("cache", cache.to_owned()), ("device", "card".to_owned())],
            columns,
        }
    }

    #[test]
    fn repetitions_are_further_values_and_other_conditions_are_other_rows() {
        let rows = joined(vec![row("f16", &[1.0]), row("f32", &[2.0]), row("f16", &[3.0, 4.0])]);
        let found: Vec<(&str, &[f64])> =
            rows.iter().map(|row| (row.name.as_str(), row.columns[0].values.as_slice())).collect();
        assert_eq!(found, [("tiny, cache f16", &[1.0, 3.0, 4.0][..]), ("tiny, cache f32", &[2.0])]);
        assert_eq!(joined(vec![row("f16", &[1.0])])[0].name, "tiny");
    }
}
