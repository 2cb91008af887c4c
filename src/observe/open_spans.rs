//! The open spans of one thread, for readers that may have missed some.

/// Open spans, the outermost first, each with what its reader keeps of it.
#[derive(Debug)]
pub(crate) struct OpenSpans<T>(Vec<(&'static str, T)>);

impl<T> OpenSpans<T> {
    /// None.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// A span begins inside of those that are open.
    #[inline]
    pub(crate) fn begin(&mut self, name: &'static str, kept: T) {
        self.0.push((name, kept));
    }

    /// The innermost span of a name ends. Spans inside of it end first: a reader that was detached for a while has missed their ends.
    /// Where none is open, it began before the reader came, and nothing ends.
    #[inline]
    pub(crate) fn end(&mut self, name: &str, mut ended: impl FnMut(&'static str, T)) {
        let Some(index) = self.0.iter().rposition(|(open, _)| *open == name) else { return };
        while self.0.len() > index
            && let Some((name, kept)) = self.0.pop()
        {
            ended(name, kept);
        }
    }

    /// All of them end, the innermost first.
    pub(crate) fn end_all(&mut self, mut ended: impl FnMut(&'static str, T)) {
        while let Some((name, kept)) = self.0.pop() {
            ended(name, kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_inside_out_and_missed_ones_are_made_up_for() {
        let mut open = OpenSpans::new();
        for (index, name) in ["a", "b", "a", "c"].into_iter().enumerate() {
            open.begin(name, index);
        }
        let mut ended = Vec::new();
        open.end("never begun", |name, kept| ended.push((name, kept)));
        open.end("a", |name, kept| ended.push((name, kept)));
        assert_eq!(ended, [("c", 3), ("a", 2)]);
        open.end("b", |name, kept| ended.push((name, kept)));
        open.begin("d", 4);
        open.end_all(|name, kept| ended.push((name, kept)));
        assert_eq!(ended[2..], [("b", 1), ("d", 4), ("a", 0)]);
        open.end("a", |_, _| unreachable!("it has ended"));
    }
}
