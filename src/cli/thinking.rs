//! How thinking looks: dimmed, folded into a line, or as the model wrote it.

use super::ending::Ending;
use super::output::Output;
use ffai::generate::Generation;
use ffai::text::Segment;
use std::time::Instant;

/// Shows a stream of segments.
pub(crate) struct ThinkingView {
    looks: Looks,
    /// Whether the thinking that is open has said anything.
    spoken: bool,
    since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    /// With its marks, so that a program, or a reader without dimmed text, can tell where it ends.
    AsWritten,
    /// Without its marks.
    Dimmed,
    /// A line in its place, where lines of ours stand between the text at all.
    Folded,
}

impl ThinkingView {
    /// For what `output` can show.
    pub(crate) fn new(output: &Output, hidden: bool) -> Self {
        let looks = match (hidden, output.dims()) {
            (true, _) => Looks::Folded,
            (false, true) => Looks::Dimmed,
            (false, false) => Looks::AsWritten,
        };
        Self { looks, spoken: false, since: None }
    }

    /// Writes a segment.
    pub(crate) fn show(&mut self, output: &mut Output, segment: &Segment) -> Result<(), Ending> {
        match (self.looks, segment) {
            (Looks::AsWritten, segment) => output.text(segment.text()),
            (_, Segment::Answer(text)) => output.text(text),
            (Looks::Dimmed, Segment::Thinking(text)) => {
                if !self.spoken && !output.line_ended() {
                    output.text("\n")?;
                }
                self.spoken = true;
                output.dimmed(text)
            }
            (Looks::Dimmed, Segment::Close) if std::mem::take(&mut self.spoken) => {
                output.text(if output.line_ended() { "\n" } else { "\n\n" })
            }
            (Looks::Folded, Segment::Open) if output.has_notes_with_text() => {
                self.since = Some(Instant::now());
                output.dimmed(if output.line_ended() { "thinking…" } else { "\nthinking…" })
            }
            (Looks::Folded, Segment::Close) => match self.since.take() {
                Some(since) => output.dimmed(&format!(" {:.1}s\n\n", since.elapsed().as_secs_f64())),
                None => Ok(()),
            },
            (Looks::Dimmed | Looks::Folded, _) => Ok(()),
        }
    }

    /// Writes a whole generation. A line for thinking would say how long it took, which is over by now.
    pub(crate) fn all(&mut self, output: &mut Output, generation: &Generation) -> Result<(), Ending> {
        match self.looks {
            Looks::Folded => output.text(&generation.answer()),
            Looks::AsWritten | Looks::Dimmed => {
                generation.segments.iter().try_for_each(|segment| self.show(output, segment))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::Notes;
    use super::super::output::tests::written;
    use super::*;

    /// What a terminal gets of a thought and its answer.
    fn shown(notes: Notes, dims: bool, hidden: bool, segments: &[Segment]) -> String {
        let (mut output, read) = written(notes, dims);
        output.prompt("Why?").unwrap();
        let mut view = ThinkingView::new(&output, hidden);
        for segment in segments {
            view.show(&mut output, segment).unwrap();
        }
        read()
    }

    fn thought() -> Vec<Segment> {
        let text = str::to_owned;
        vec![
            Segment::Open,
            Segment::Markup(text("<think>\n")),
            Segment::Thinking(text("Be")),
            Segment::Thinking(text("cause.\n")),
            Segment::Markup(text("</think>")),
            Segment::Close,
            Segment::Markup(text("\n\n")),
            Segment::Answer(text("So.")),
        ]
    }

    #[test]
    fn thinking_is_dimmed_and_stands_apart() {
        let dimmed = "Why?\n\u{1b}[2mBe\u{1b}[0m\u{1b}[2mcause.\n\u{1b}[0m\nSo.";
        assert_eq!(shown(Notes::WithText, true, false, &thought()), dimmed);
    }

    #[test]
    fn without_dimmed_text_the_marks_tell() {
        let whole = "<think>\nBecause.\n</think>\n\nSo.";
        assert_eq!(shown(Notes::WithText, false, false, &thought()), format!("Why?{whole}"));
        assert_eq!(shown(Notes::Nowhere, false, false, &thought()), whole);
    }

    #[test]
    fn hidden_thinking_is_a_line_or_nothing() {
        for dims in [true, false] {
            let text = shown(Notes::WithText, dims, true, &thought()).replace("\u{1b}[2m", "").replace("\u{1b}[0m", "");
            let seconds = text.strip_prefix("Why?\nthinking… ").and_then(|rest| rest.strip_suffix("s\n\nSo.")).unwrap();
            assert!(seconds.parse::<f64>().is_ok(), "{text:?}");
        }
        assert_eq!(shown(Notes::Apart, true, true, &thought()), "So.");
        assert_eq!(shown(Notes::Nowhere, true, true, &thought()), "So.");
    }

    #[test]
    fn an_empty_thought_leaves_no_trace() {
        let empty = [Segment::Open, Segment::Markup("<think>\n\n</think>".to_owned()), Segment::Close];
        let segments = [empty.as_slice(), &[Segment::Answer("So.".to_owned())]].concat();
        assert_eq!(shown(Notes::WithText, true, false, &segments), "Why?So.");
    }
}
