//! Which member a snapshot is taken from: a voter whose data is not in doubt, and which answered a linearizable read after the backup was
//! asked for, so that every write acknowledged before that is in it. A follower rather than the leader, who has more to do.

use crate::names::{ClusterId, MemberId};

/// What a member said when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<E> {
    /// Where it was asked.
    pub endpoint: E,
    /// The cluster that it counts itself to.
    pub cluster: ClusterId,
    /// Its ID.
    pub member: MemberId,
    /// It only follows, and may lag.
    pub is_learner: bool,
    /// It leads.
    pub leads: bool,
    /// It is one whose data differs, by an alarm.
    pub is_corrupt: bool,
    /// The revision at which it answered a linearizable read, or why it did not.
    pub read: Result<i64, String>,
}

/// Why a snapshot can be taken from none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSource {
    /// The endpoints belong to several clusters.
    #[error("the endpoints are of different clusters: {first} and {second}")]
    SeveralClusters {
        /// One.
        first: ClusterId,
        /// Another one.
        second: ClusterId,
    },
    /// No voter of sound data answered a linearizable read.
    #[error("no member can be taken a snapshot from: {}", reasons.join("; "))]
    Nobody {
        /// What was wrong with each.
        reasons: Vec<String>,
    },
}

/// The member to take a snapshot from, and the revision that it has at least.
///
/// # Errors
/// There is none.
pub fn choose<E: ToString>(candidates: &[Candidate<E>]) -> Result<(&Candidate<E>, i64), NoSource> {
    let clusters = candidates.windows(2).find(|pair| pair[0].cluster != pair[1].cluster);
    if let Some([first, second]) = clusters {
        return Err(NoSource::SeveralClusters { first: first.cluster, second: second.cluster });
    }
    let judged = || candidates.iter().map(|candidate| (candidate, suitable(candidate)));
    let suitable = judged().filter_map(|(candidate, revision)| Some((candidate, revision.ok()?)));
    match suitable.min_by_key(|(candidate, _)| candidate.leads) {
        Some(found) => Ok(found),
        None => Err(NoSource::Nobody {
            reasons: judged()
                .filter_map(|(candidate, revision)| {
                    Some(format!("{}: {}", candidate.endpoint.to_string(), revision.err()?))
                })
                .collect(),
        }),
    }
}

/// The revision that a member has, if a snapshot may be taken from it; else why not.
fn suitable<E>(candidate: &Candidate<E>) -> Result<i64, String> {
    if candidate.is_learner {
        return Err("it is a learner".to_owned());
    }
    if candidate.is_corrupt {
        return Err("its data differs from the others' (alarm CORRUPT)".to_owned());
    }
    candidate.read.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voter(endpoint: &'static str, revision: i64) -> Candidate<&'static str> {
        Candidate {
            endpoint,
            cluster: ClusterId(1),
            member: MemberId(1),
            is_learner: false,
            leads: false,
            is_corrupt: false,
            read: Ok(revision),
        }
    }

    fn chosen(candidates: &[Candidate<&'static str>]) -> Result<(&'static str, i64), NoSource> {
        choose(candidates).map(|(candidate, revision)| (candidate.endpoint, revision))
    }

    #[test]
    fn a_follower_is_taken_before_the_leader_and_the_leader_before_nobody() {
        let leader = Candidate { leads: true, ..voter("a", 7) };
        assert_eq!(chosen(&[leader.clone(), voter("b", 6)]), Ok(("b", 6)));
        assert_eq!(chosen(&[leader]), Ok(("a", 7)));
    }

    #[test]
    fn who_lags_or_differs_or_answers_no_linearizable_read_is_never_taken() {
        let candidates = [
            Candidate { is_learner: true, ..voter("a", 9) },
            Candidate { is_corrupt: true, ..voter("b", 9) },
            Candidate { read: Err("no answer".to_owned()), ..voter("c", 0) },
        ];
        let error = chosen(&candidates).unwrap_err().to_string();
        for word in ["a: it is a learner", "b: its data differs", "c: no answer"] {
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(chosen(&[&candidates[..], &[voter("d", 3)]].concat()), Ok(("d", 3)));
    }

    #[test]
    fn endpoints_of_two_clusters_are_refused() {
        let other = Candidate { cluster: ClusterId(2), ..voter("b", 1) };
        let error = NoSource::SeveralClusters { first: ClusterId(1), second: ClusterId(2) };
        assert_eq!(chosen(&[voter("a", 1), other]), Err(error));
        assert_eq!(chosen(&[]), Err(NoSource::Nobody { reasons: Vec::new() }));
    }
}
