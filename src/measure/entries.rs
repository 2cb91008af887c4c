//! Values by name, in the order in which the names first came.

/// The value of `name`, the default where it is new.
pub(super) fn entry<'e, V: Default>(entries: &'e mut Vec<(String, V)>, name: &str) -> &'e mut V {
    let index = entries.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
        entries.push((name.to_owned(), V::default()));
        entries.len() - 1
    });
    &mut entries[index].1
}
