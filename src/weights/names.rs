//! Finding entries by name: an index over a list that stays in file order, and near misses.

/// Positions of a list of names, sorted by name. Four bytes per entry and no copies of the names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Vec<u32>);

/// The positions of two entries with one name.
pub(super) struct Twice {
    pub(super) first: usize,
    pub(super) second: usize,
}

impl Names {
    /// Indexes `items`, whose names `name` yields.
    pub(super) fn index<T>(items: &[T], name: impl Fn(&T) -> &str) -> Result<Self, Twice> {
        // More than u32::MAX entries would take a header of 32 GiB and more; see `Header::parse`.
        let mut order: Vec<u32> = (0..items.len() as u32).collect();
        // Stable, so that of two equal names the earlier one comes first.
        order.sort_by(|&a, &b| name(&items[a as usize]).cmp(name(&items[b as usize])));
        for pair in order.windows(2) {
            let (first, second) = (pair[0] as usize, pair[1] as usize);
            if name(&items[first]) == name(&items[second]) {
                return Err(Twice { first, second });
            }
        }
        Ok(Self(order))
    }

    /// The entry of `items`, the list that was indexed, whose name is `wanted`.
    pub(super) fn find<'a, T>(&self, items: &'a [T], name: impl Fn(&T) -> &str, wanted: &str) -> Option<&'a T> {
        let at = self.0.binary_search_by(|&at| name(&items[at as usize]).cmp(wanted)).ok()?;
        items.get(self.0[at] as usize)
    }
}

/// The one of `names` that is the fewest edits away from `wanted`, if a typo may explain it: two
/// edits, or a quarter of the length.
pub(super) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let allowed = (wanted.len() / 4).max(2);
    names
        // Before any work: names in a hostile file may be megabytes long.
        .filter(|name| name.len().abs_diff(wanted.len()) <= allowed)
        .map(|name| (edits(wanted.as_bytes(), name.as_bytes()), name))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name.to_owned())
}

/// Levenshtein's distance, one row of the table at a time.
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_count_insertions_deletions_and_replacements() {
        assert_eq!(edits(b"kitten", b"sitting"), 3);
        assert_eq!(edits(b"", b"abc"), 3);
        assert_eq!(edits(b"same", b"same"), 0);
    }

    #[test]
    fn only_a_plausible_typo_is_suggested() {
        let names = ["output_norm.weight", "token_embd.weight"];
        let near = |wanted| nearest(wanted, names.iter().copied());
        assert_eq!(near("token_embed.weight").as_deref(), Some("token_embd.weight"));
        assert_eq!(near("blk.0.ffn_gate.weight"), None);
    }
}
