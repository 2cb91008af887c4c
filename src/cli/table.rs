//! Columns for people.

/// Which side of a column its cells stand at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Rows of cells in columns as wide as they need, two spaces apart, each line behind `indent`.
pub(crate) fn table<const COLUMNS: usize>(indent: &str, sides: [Side; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).zip(sides).map(|((cell, width), side)| match side {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        });
        format!("{indent}{}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["ROLE", "BYTES"], ["naïve", "1"], ["x", ""]].map(|row| row.map(str::to_owned));
        let expected = " ROLE   BYTES\n naïve      1\n x\n";
        assert_eq!(table(" ", [Side::Left, Side::Right], &rows), expected);
    }
}
