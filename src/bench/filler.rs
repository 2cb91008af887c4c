//! Text that goes on for as long as it is wanted: for prompts whose length matters and whose words do not.

use crate::graph::Rng;

const WHO: [&str; 16] = [
    "The ferryman",
    "A retired clockmaker",
    "The night porter",
    "Our neighbour's aunt",
    "The village baker",
    "A young surveyor",
    "The lighthouse keeper",
    "The second violinist",
    "A travelling seamstress",
    "The gardener of the abbey",
    "An old cartographer",
    "The stationmaster",
    "The miller's daughter",
    "A patient archivist",
    "The harbour pilot",
    "A student of botany",
];
const DID: [&str; 16] = [
    "repaired",
    "counted",
    "carried home",
    "painted",
    "described",
    "borrowed",
    "measured",
    "wrapped up",
    "polished",
    "drew",
    "traded away",
    "looked for",
    "weighed",
    "put aside",
    "remembered",
    "listed",
];
const WHAT: [&str; 16] = [
    "a basket of pears",
    "the broken oars",
    "three copper kettles",
    "an atlas of rivers",
    "the longest ladder",
    "a box of candles",
    "two woollen coats",
    "the market's old scales",
    "a sack of barley",
    "seven glass bottles",
    "the church's bell rope",
    "a pair of spectacles",
    "the herbarium's labels",
    "a wheel of cheese",
    "the blue shutters",
    "a bundle of letters",
];
const WHERE: [&str; 12] = [
    "behind the granary",
    "at the edge of the marsh",
    "near the stone bridge",
    "in the upper orchard",
    "by the customs house",
    "under the arcade",
    "on the eastern quay",
    "in the reading room",
    "along the towpath",
    "at the crossroads",
    "in the cellar",
    "beside the kiln",
];
const WHEN: [&str; 12] = [
    "before the rain began",
    "while the tide was low",
    "after the first frost",
    "on the eve of the fair",
    "late in the afternoon",
    "as the lamps were lit",
    "during the harvest",
    "early on a Tuesday",
    "once the fog had lifted",
    "in the week of the regatta",
    "when the road was closed",
    "between two trains",
];
const WHY: [&str; 8] = [
    "because nobody else would",
    "to settle an old wager",
    "for the sake of order",
    "and told no one about it",
    "as had been agreed",
    "without being asked",
    "and was thanked for it",
    "to everybody's surprise",
];

/// Sentences without end, the same for the same seed.
#[derive(Debug)]
pub(super) struct Filler(Rng);

impl Filler {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rng(seed))
    }
}

impl Iterator for Filler {
    type Item = String;

    /// One sentence, with a period at its end and no space behind.
    fn next(&mut self) -> Option<String> {
        let mut pick = |list: &[&'static str]| list[self.0.below(list.len() as u32) as usize];
        let (who, did, what, place) = (pick(&WHO), pick(&DID), pick(&WHAT), pick(&WHERE));
        let (when, why) = (pick(&WHEN), pick(&WHY));
        Some(format!("{who} {did} {what} {place} {when}, {why}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_same_seed_tells_the_same_story_and_hardly_repeats_itself() {
        let story = |seed| Filler::new(seed).take(400).collect::<Vec<_>>();
        assert_eq!(story(1), story(1));
        assert_ne!(story(1), story(2));
        assert!(story(1).into_iter().collect::<BTreeSet<_>>().len() > 398);
    }
}
