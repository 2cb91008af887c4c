//! How much of a secret an answer holds.

/// Whether the answer holds the secret to the letter.
pub(super) fn exact(secret: &str, answer: &str) -> bool {
    answer.contains(secret)
}

/// How much of the secret the answer holds, from 0 to 1: what is left of its characters when those are taken off that have to be
/// changed, added or removed to make the most similar part of the answer out of it (Sellers 1980). Case does not matter.
pub(super) fn fuzzy(secret: &str, answer: &str) -> f64 {
    let characters = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (secret, answer) = (characters(secret), characters(answer));
    if secret.is_empty() {
        return 1.0;
    }
    // Edits between all of the secret's first characters and the best part of the answer that ends here.
    let mut column: Vec<usize> = (0..=secret.len()).collect();
    let mut least = secret.len();
    for found in answer {
        // A part may begin anywhere: before its first character nothing has to be edited.
        let mut diagonal = 0;
        for (index, wanted) in secret.iter().enumerate() {
            let substituted = diagonal + usize::from(*wanted != found);
            diagonal = column[index + 1];
            column[index + 1] = substituted.min(diagonal + 1).min(column[index] + 1);
        }
        least = least.min(column[secret.len()]);
    }
    1.0 - least as f64 / secret.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_against_the_best_part_of_the_answer() {
        let cases = [
            ("The password is teal-harp-1234, I think.", 1.0),
            ("TEAL-HARP-1234", 1.0),
            // One changed, one missing, one too many, of 14.
            ("teal-harp-1235", 13.0 / 14.0),
            ("teal harp 1234", 12.0 / 14.0),
            ("teal-harp-134", 13.0 / 14.0),
            ("teal-harpp-1234", 13.0 / 14.0),
            ("teal", 4.0 / 14.0),
            ("", 0.0),
            ("qqq", 0.0),
        ];
        for (answer, expected) in cases {
            let found = fuzzy("teal-harp-1234", answer);
            assert!((found - expected).abs() < 1e-12, "{answer}: {found}");
        }
    }

    #[test]
    fn to_the_letter_means_to_the_letter() {
        assert!(exact("teal-harp-1234", "It is `teal-harp-1234`."));
        assert!(!exact("teal-harp-1234", "It is Teal-Harp-1234."));
    }
}
