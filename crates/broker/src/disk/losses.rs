//! What losses of power there are: of the pieces that were not synced, which are kept, which are lost, and how the
//! last one is torn.
//!
//! Of a few pieces these are all; of many, those in which one matters alone, and some by chance.

use vltava_core::Rng;

/// Something that was not synced, and is kept or lost for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// It cannot be torn: a name, a length, or a part of a write after which there is more.
    Whole,
    /// The end of what was written last.
    End,
}

/// What becomes of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Kept,
    Lost,
    /// The first half of its bytes was written.
    Torn,
    /// The file has its new length, but not these bytes.
    Zeroed,
}

/// How many of the losses are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Thoroughness {
    /// Of up to so many pieces, all combinations.
    pub pieces_combined_max: usize,
    /// Of more pieces, none and all, and so many of them alone, and missing while all others are there.
    pub alone_max: usize,
    /// And so many combinations by chance.
    pub by_chance: usize,
}

/// The fates of all pieces in each loss.
pub(super) fn losses(pieces: &[Piece], how: Thoroughness, chance: &mut Rng) -> Vec<Vec<Fate>> {
    let mut losses = match pieces.len() {
        count if count <= how.pieces_combined_max => all_combinations(count),
        count => some_combinations(count, how, chance),
    };
    if let Some(end) = pieces.iter().position(|piece| *piece == Piece::End) {
        for others in [Fate::Kept, Fate::Lost] {
            losses.push(all_but(pieces.len(), end, others, Fate::Torn));
            losses.push(all_but(pieces.len(), end, others, Fate::Zeroed));
        }
    }
    losses
}

fn all_combinations(count: usize) -> Vec<Vec<Fate>> {
    let fate = |combination: u32, piece: usize| match combination >> piece & 1 {
        0 => Fate::Lost,
        _ => Fate::Kept,
    };
    (0..1 << count).map(|combination| (0..count).map(|piece| fate(combination, piece)).collect()).collect()
}

fn some_combinations(count: usize, how: Thoroughness, chance: &mut Rng) -> Vec<Vec<Fate>> {
    let mut losses = vec![vec![Fate::Lost; count], vec![Fate::Kept; count]];
    for piece in some(count, how.alone_max, chance) {
        losses.push(all_but(count, piece, Fate::Kept, Fate::Lost));
        losses.push(all_but(count, piece, Fate::Lost, Fate::Kept));
    }
    for _ in 0..how.by_chance {
        let fate = |_| if chance.chance(50) { Fate::Kept } else { Fate::Lost };
        losses.push((0..count).map(fate).collect());
    }
    losses
}

/// At most so many of the numbers below `count`, which chance chooses.
fn some(count: usize, most: usize, chance: &mut Rng) -> Vec<usize> {
    let mut numbers: Vec<_> = (0..count).collect();
    while numbers.len() > most {
        numbers.swap_remove(chance.below(numbers.len() as u64) as usize);
    }
    numbers
}

fn all_but(count: usize, one: usize, others: Fate, fate: Fate) -> Vec<Fate> {
    let mut fates = vec![others; count];
    fates[one] = fate;
    fates
}

#[cfg(test)]
mod tests {
    use super::{Fate::*, *};

    fn sorted(pieces: &[Piece], how: Thoroughness) -> Vec<Vec<Fate>> {
        let mut losses = losses(pieces, how, &mut Rng::new(1));
        losses.sort();
        losses
    }

    const HOW: Thoroughness = Thoroughness { pieces_combined_max: 3, alone_max: 20, by_chance: 5 };

    #[test]
    fn of_few_pieces_all_combinations_are_taken_and_the_end_is_torn() {
        assert_eq!(sorted(&[], HOW), [[]; 1]);
        let combined = [[Kept, Kept], [Kept, Lost], [Lost, Kept], [Lost, Lost]];
        assert_eq!(sorted(&[Piece::Whole; 2], HOW), combined);
        let mut torn = [[Kept, Torn], [Kept, Zeroed], [Lost, Torn], [Lost, Zeroed]].to_vec();
        torn.extend(combined);
        torn.sort();
        assert_eq!(sorted(&[Piece::Whole, Piece::End], HOW), torn);
    }

    #[test]
    fn of_many_pieces_each_is_missing_once_and_alone_once_or_as_many_as_are_wanted() {
        let all = sorted(&[Piece::Whole; 20], HOW);
        assert_eq!(all.len(), 2 + 2 * 20 + 5);
        let kept = |fates: &[Fate]| fates.iter().filter(|it| **it == Kept).count();
        let with = |count| all.iter().filter(move |it| kept(it) == count);
        assert_eq!([0, 1, 19, 20].map(|count| with(count).count()), [1, 20, 20, 1]);
        for piece in 0..20 {
            assert!(with(1).any(|it| it[piece] == Kept) && with(19).any(|it| it[piece] == Lost));
        }
        let some = sorted(&[Piece::Whole; 20], Thoroughness { alone_max: 3, ..HOW });
        assert_eq!(some.len(), 2 + 2 * 3 + 5);
    }
}
