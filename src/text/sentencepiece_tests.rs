use super::*;
use crate::text::random::Random;

const ALPHABET: [char; 5] = ['a', 'b', ' ', 'é', '日'];

/// The rule without queue or links: of all neighbours that make a token, merge those whose
/// token has the best score, the leftmost first; begin again until none do.
fn by_hand(text: &str, tokens: &[(String, f32)]) -> Vec<String> {
    let mut symbols: Vec<String> = text.chars().map(|c| if c == ' ' { SPACE.into() } else { c.to_string() }).collect();
    loop {
        let mut best: Option<(f32, usize)> = None;
        for left in 1..symbols.len() {
            let joined = symbols[left - 1].clone() + &symbols[left];
            if let Some((_, score)) = tokens.iter().rfind(|(token, _)| *token == joined)
                && best.is_none_or(|(highest, _)| *score > highest)
            {
                best = Some((*score, left - 1));
            }
        }
        let Some((_, left)) = best else {
            return symbols;
        };
        let right = symbols.remove(left + 1);
        symbols[left].push_str(&right);
    }
}

fn vocabulary(tokens: &[(String, f32)]) -> (Vocabulary, Vec<Kind>) {
    let bytes = (0..256).map(|byte| (format!("<0x{byte:02X}>"), 0.0));
    let all: Vec<(String, f32)> = bytes.chain(tokens.iter().cloned()).collect();
    let mut kinds = vec![Kind::Byte; 256];
    kinds.resize(all.len(), Kind::Normal);
    let (tokens, scores): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    (Vocabulary { tokens, scores: Some(scores), ..Vocabulary::default() }, kinds)
}

#[test]
fn queue_and_exhaustive_search_merge_alike() {
    let mut random = Random(3);
    for _ in 0..3000 {
        let tokens: Vec<(String, f32)> = (0..random.below(25))
            .map(|_| {
                let text = random.text(&ALPHABET, 5).replace(' ', SPACE);
                (text, -(random.below(8) as f32)) // few scores, so that many are equal
            })
            .filter(|(text, _)| !text.is_empty())
            .collect();
        let (mut vocabulary, kinds) = vocabulary(&tokens);
        let model = SentencePiece::new(&mut vocabulary, &kinds).unwrap();
        let text = random.text(&ALPHABET, 40);
        let mut ids = Vec::new();
        model.encode(&text, &mut ids).unwrap();
        let mut expected = Vec::new();
        for symbol in by_hand(&text, &tokens) {
            match vocabulary.tokens.iter().rposition(|token| *token == symbol) {
                Some(id) => expected.push(id as u32),
                None => expected.extend(symbol.bytes().map(u32::from)),
            }
        }
        assert_eq!(ids, expected, "{text:?} {tokens:?}");
    }
}

#[test]
fn without_byte_tokens_a_run_of_unknown_characters_is_one_token() {
    let tokens = ["<unk>", "a"].map(String::from).to_vec();
    let mut vocabulary = Vocabulary { tokens, scores: Some(vec![0.0; 2]), unknown: Some(0), ..Vocabulary::default() };
    let kinds = [Kind::Unknown, Kind::Normal];
    let model = SentencePiece::new(&mut vocabulary.clone(), &kinds).unwrap();
    let mut ids = Vec::new();
    model.encode("xyaz", &mut ids).unwrap();
    assert_eq!(ids, [0, 1, 0]);
    vocabulary.unknown = None;
    let model = SentencePiece::new(&mut vocabulary, &kinds).unwrap();
    let error = model.encode("ax", &mut ids).unwrap_err();
    assert!(matches!(error, Error::Unencodable { character: 'x' }));
}

#[test]
fn scores_are_needed() {
    let error = SentencePiece::new(&mut Vocabulary::default(), &[]).unwrap_err();
    assert!(matches!(error, Error::MissingList { list: "scores", .. }));
}
