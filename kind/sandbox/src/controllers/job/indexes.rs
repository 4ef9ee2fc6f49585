//! Completions of an indexed Job as the status writes them: `0,2-4,7`. Pure.

use std::collections::BTreeSet;

/// A set of completion indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes(BTreeSet<usize>);

impl Indexes {
    /// Reads what a status or a rule holds. Parts that can't be read, and indexes beyond the completions, are left out.
    pub(super) fn parse(text: &str, completions: usize) -> Indexes {
        let mut found = BTreeSet::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) {
                found.extend((first..=last).take_while(|index| *index < completions));
            }
        }
        Indexes(found)
    }

    pub(super) fn extend(&mut self, more: impl IntoIterator<Item = usize>) {
        self.0.extend(more);
    }

    pub(super) fn contains(&self, index: usize) -> bool {
        self.0.contains(&index)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// How many are in both sets.
    pub(super) fn shared(&self, other: &Indexes) -> usize {
        self.0.intersection(&other.0).count()
    }

    /// Neighbours are joined from three on.
    pub(super) fn text(&self) -> String {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for index in &self.0 {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == *index => *last = *index,
                Some(_) | None => runs.push((*index, *index)),
            }
        }
        let run = |(first, last): &(usize, usize)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        };
        runs.iter().map(run).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_written_as_runs_and_read_back() {
        let mut indexes = Indexes::default();
        indexes.extend([7, 0, 3, 2, 4, 9, 10]);
        assert_eq!(indexes.text(), "0,2-4,7,9,10");
        assert_eq!(Indexes::parse("0,2-4,7,9,10", 20), indexes);
        assert_eq!(Indexes::parse("0,2-4,7,9,10", 4).text(), "0,2,3");
        assert_eq!(Indexes::parse("x,1-y,5", 9).text(), "5");
    }
}
