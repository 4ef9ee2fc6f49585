//! Chance changes of the recorded run: what is wrong stays wrong whatever else happens to its record, and what is right does not
//! stay so if anything that matters is changed. `JUDGE_SEEDS=N` tries so many seeds instead of 500.

use std::collections::BTreeMap;

use chaos::checker::{Verdict, judge};
use chaos::history::{
    Call, ClientId, ClusterId, CommittedChange, MemberId, Observation, Outcome, Reply, Revision, Value,
};
use chaos::record::{Event, EventLine, Proof, RunRecord, RunState};
use chaos::scenario::{Seed, stream};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::view::{MILLISECOND, SECOND, put_revision, statuses};
use super::{Right, recipes, recorded};

fn seeds() -> u64 {
    std::env::var("JUDGE_SEEDS").ok().map_or(500, |text| text.parse().expect("JUDGE_SEEDS is a number"))
}

/// Where a line stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Operation(usize),
    Committed(usize),
    Round(usize),
    Hash(usize),
    Event(usize),
}

/// Every line of a record as text, with its place. Times of events are left out, so that a moved line is the same.
fn lines(record: &RunRecord) -> Vec<(String, Place)> {
    let mut lines = Vec::new();
    let of =
        |name: &str, text: Result<String, serde_json::Error>| format!("{name} {}", text.expect("plain data"));
    for (index, operation) in record.load.operations.iter().enumerate() {
        lines.push((of("operation", serde_json::to_string(operation)), Place::Operation(index)));
    }
    for (index, event) in record.committed.iter().enumerate() {
        lines.push((of("committed", serde_json::to_string(event)), Place::Committed(index)));
    }
    for (index, round) in record.probes.rounds.iter().enumerate() {
        lines.push((of("round", serde_json::to_string(round)), Place::Round(index)));
    }
    for (index, hash) in record.probes.hashes.iter().enumerate() {
        lines.push((of("hash", serde_json::to_string(hash)), Place::Hash(index)));
    }
    for (index, line) in record.events.iter().enumerate() {
        lines.push((of("event", serde_json::to_string(&line.event)), Place::Event(index)));
    }
    lines
}

/// The lines of a changed record on which its verdict does not rest: those that it shares with the recorded one.
fn innocent(recorded: &RunRecord, changed: &RunRecord) -> Vec<Place> {
    let count = |record: &RunRecord| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (text, _) in lines(record) {
            *counts.entry(text).or_default() += 1;
        }
        counts
    };
    let (before, after) = (count(recorded), count(changed));
    lines(changed)
        .into_iter()
        .filter(|(text, _)| before.get(text) == after.get(text))
        .map(|(_, place)| place)
        .collect()
}

/// Drops, doubles, moves or alters a line.
fn disturb(record: &mut RunRecord, place: Place, random: &mut ChaCha8Rng) -> &'static str {
    let how = random.random_range(0..4);
    match place {
        Place::Operation(index) => disturb_in(&mut record.load.operations, index, how, |one| {
            one.end.0 += 3 * SECOND;
        }),
        Place::Committed(index) => disturb_in(&mut record.committed, index, how, |one| one.revision.0 += 1),
        Place::Round(index) => disturb_in(&mut record.probes.rounds, index, how, |one| one.members.clear()),
        Place::Hash(index) => disturb_in(&mut record.probes.hashes, index, how, |one| one.revision.0 += 1),
        Place::Event(index) => {
            disturb_in(&mut record.events, index, how, |one: &mut EventLine| one.at.0 += 100 * MILLISECOND)
        }
    }
}

fn disturb_in<T: Clone>(lines: &mut Vec<T>, index: usize, how: u8, alter: impl Fn(&mut T)) -> &'static str {
    match how {
        0 => {
            lines.remove(index);
            "dropped"
        }
        1 => {
            lines.insert(index, lines[index].clone());
            "doubled"
        }
        2 => {
            let line = lines.remove(index);
            lines.insert(index / 2, line);
            "moved"
        }
        _ => {
            alter(&mut lines[index]);
            "altered"
        }
    }
}

#[test]
fn nothing_that_happens_to_another_line_makes_a_pass() {
    let recorded = recorded();
    let bad: Vec<_> = recipes()
        .into_iter()
        .filter(|recipe| matches!(recipe.right, Right::Fail | Right::Invalid | Right::NotPass))
        .map(|recipe| {
            let mut changed = recorded.clone();
            (recipe.tamper)(&mut changed);
            let places = innocent(&recorded, &changed);
            (recipe.story, changed, places)
        })
        .collect();
    let mut passed = Vec::new();
    for seed in 0..seeds() {
        let mut random = stream(Seed(seed), "disturb");
        let (story, changed, places) = &bad[random.random_range(0..bad.len())];
        let mut record = changed.clone();
        let place = places[random.random_range(0..places.len())];
        let how = disturb(&mut record, place, &mut random);
        if judge(&record).verdict == Verdict::Pass {
            passed.push(format!("seed {seed}: {story} with {place:?} {how}"));
        }
    }
    assert!(passed.is_empty(), "{}", passed.join("\n"));
}

#[test]
fn no_change_of_anything_that_matters_stays_a_pass() {
    let recorded = recorded();
    let mut passed = Vec::new();
    for seed in 0..seeds() {
        let mut random = stream(Seed(seed), "matters");
        let mut record = recorded.clone();
        let change = CHANGES[random.random_range(0..CHANGES.len())];
        let what = change(&mut record, &mut random);
        if judge(&record).verdict == Verdict::Pass {
            passed.push(format!("seed {seed}: {what}"));
        }
    }
    assert!(passed.is_empty(), "{}", passed.join("\n"));
}

/// Changes one thing at a place that chance chooses, and says what.
type Change = fn(&mut RunRecord, &mut ChaCha8Rng) -> String;

const CHANGES: &[Change] = &[
    write_revision,
    write_refused,
    committed_line,
    found_value,
    read_revision,
    call_time,
    call_identity,
    member_identity,
    cluster_identity,
    member_progress,
    leader,
    hash,
    target,
    proof,
    stage_time,
    clock,
    round_time,
    final_read,
    head,
    expectation,
];

/// One of the places that fit.
fn pick(places: Vec<usize>, random: &mut ChaCha8Rng) -> usize {
    places[random.random_range(0..places.len())]
}

fn calls(record: &RunRecord, fits: impl Fn(&chaos::history::Operation) -> bool) -> Vec<usize> {
    (0..record.load.operations.len()).filter(|index| fits(&record.load.operations[*index])).collect()
}

fn answer(record: &mut RunRecord, index: usize) -> &mut chaos::history::Acknowledgement {
    match &mut record.load.operations[index].outcome {
        Outcome::Acknowledged(answer) => answer,
        Outcome::Failed { .. } | Outcome::Unknown { .. } => panic!("only answered calls are picked"),
    }
}

fn write_revision(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let index = pick(calls(record, |one| put_revision(one).is_some()), random);
    let by = random.random_range(1..6);
    answer(record, index).revision.0 += by;
    format!("the revision of put {index} is {by} too high")
}

fn write_refused(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let index = pick(calls(record, |one| put_revision(one).is_some()), random);
    record.load.operations[index].outcome =
        Outcome::Failed { error: "etcdserver: too many requests".to_owned() };
    format!("put {index} was refused, and is in the log")
}

fn committed_line(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let index = random.random_range(0..record.committed.len());
    let other =
        record.committed.iter().find(|one| one.key != record.committed[index].key).unwrap().key.clone();
    let event = &mut record.committed[index];
    let CommittedChange::Put { value, version } = &mut event.change else { panic!("the load never deletes") };
    match random.random_range(0..4) {
        0 => event.key = other,
        1 => *version += 1,
        2 => *value = Value("nobody's".to_owned()),
        _ => event.revision.0 += 3,
    }
    format!("change {index} of the log is another one")
}

fn found_value(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let found = |one: &chaos::history::Operation| matches!(&one.outcome, Outcome::Acknowledged(answer) if matches!(answer.reply, Reply::Get { found: Some(_) }));
    let index = pick(calls(record, found), random);
    let Reply::Get { found: Some(found) } = &mut answer(record, index).reply else { panic!("picked for it") };
    match random.random_range(0..3) {
        0 => found.value = Value("nobody's".to_owned()),
        1 => found.modified_at.0 += 1,
        _ => found.version += 1,
    }
    format!("get {index} found something else")
}

fn read_revision(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let get = |one: &chaos::history::Operation| matches!(&one.outcome, Outcome::Acknowledged(answer) if matches!(answer.reply, Reply::Get { .. }));
    let places: Vec<usize> = calls(record, get).into_iter().skip(20).collect();
    let index = pick(places, random);
    let revision = &mut answer(record, index).revision;
    *revision = if random.random_bool(0.5) { Revision(revision.0 + 100_000) } else { Revision(1) };
    format!("get {index} was served at another revision")
}

fn call_time(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let places = calls(record, |one| put_revision(one).is_some());
    let most = places.len() * 4 / 5;
    let index = pick(places.into_iter().take(most).collect(), random);
    let operation = &mut record.load.operations[index];
    operation.start.0 += 4 * SECOND;
    operation.end.0 += 4 * SECOND;
    format!("put {index} was made four seconds later")
}

fn call_identity(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let index = random.random_range(0..record.load.operations.len());
    let operation = &mut record.load.operations[index];
    if random.random_bool(0.5) {
        operation.client = ClientId((operation.client.0 + 1) % 8);
    } else {
        operation.sequence += 1_000;
    }
    format!("call {index} is that of another client, or has another number")
}

fn member_identity(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let index = round_with_answers(record, random);
    statuses(&mut record.probes.rounds[index]).next().unwrap().member_id = MemberId(0xdead_beef);
    format!("somebody unknown answered in round {index}")
}

fn cluster_identity(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let strange = ClusterId(0xdead_beef);
    if random.random_bool(0.5) {
        let index = pick(calls(record, |one| put_revision(one).is_some()), random);
        answer(record, index).cluster_id = strange;
        return format!("call {index} was answered by another cluster");
    }
    let index = round_with_answers(record, random);
    statuses(&mut record.probes.rounds[index]).next().unwrap().cluster_id = strange;
    format!("a member of another cluster answered in round {index}")
}

/// A round in which members answered, not among the last, so that later ones can contradict it.
fn round_with_answers(record: &mut RunRecord, random: &mut ChaCha8Rng) -> usize {
    let most = record.probes.rounds.len() * 4 / 5;
    let places = (0..most).filter(|index| statuses(&mut record.probes.rounds[*index]).count() > 1).collect();
    pick(places, random)
}

fn member_progress(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let index = round_with_answers(record, random);
    let status = statuses(&mut record.probes.rounds[index]).next().unwrap();
    match random.random_range(0..4) {
        0 => status.revision.0 += 100_000,
        1 => status.term += 5,
        2 => status.applied_index = status.applied_index.map(|index| index + 100_000),
        _ => status.committed_index = status.committed_index.map(|index| index + 100_000),
    }
    format!("a member was ahead of itself in round {index}")
}

fn leader(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let leads = |record: &mut RunRecord, index: &usize| {
        statuses(&mut record.probes.rounds[*index]).next().is_some_and(|status| {
            status.leader.is_some() && !status.learner && status.applied_index == status.committed_index
        })
    };
    let most = record.probes.rounds.len();
    let places = (0..most).filter(|index| leads(record, index)).collect();
    let index = pick(places, random);
    statuses(&mut record.probes.rounds[index]).next().unwrap().leader = Some(MemberId(0xdead_beef));
    format!("a member named another leader in round {index}")
}

fn hash(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let members = &mut record.probes.hashes[0].members;
    let index = random.random_range(0..members.len());
    let Observation::Answered(hash) = &mut members[index].hash else { panic!("all were hashed") };
    match random.random_range(0..3) {
        0 => hash.hash ^= 1,
        1 => hash.revision.0 -= 1,
        _ => hash.member_id = MemberId(0xdead_beef),
    }
    format!("hash {index} is another one")
}

fn target(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let has_targets = |line: &EventLine| matches!(&line.event, Event::FaultInjecting { targets, .. } if !targets.is_empty());
    let places = (0..record.events.len()).filter(|index| has_targets(&record.events[*index])).collect();
    let index = pick(places, random);
    let Event::FaultInjecting { fault, targets } = &mut record.events[index].event else {
        panic!("picked for it")
    };
    match random.random_range(0..2) {
        0 => targets[0].uid = "uid-of-somebody-else".to_owned(),
        _ => drop(targets.remove(0)),
    }
    format!("{fault} hit somebody else")
}

fn proof(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let is_proof = |line: &EventLine| matches!(line.event, Event::FaultProof { .. });
    let places = (0..record.events.len()).filter(|index| is_proof(&record.events[*index])).collect();
    let index = pick(places, random);
    let Event::FaultProof { proof, .. } = &mut record.events[index].event else { panic!("picked for it") };
    match proof {
        Proof::ProcessReplaced { before, after } => after.clone_from(before),
        Proof::PodReplaced { before, after } | Proof::VolumeReplaced { before, after } => {
            after.clone_from(before)
        }
        Proof::PartitionFelt { dropped_packets, .. } => *dropped_packets = 0,
        Proof::PartitionOver { dials } => dials[0].connected = false,
        Proof::Stopped { stopped, .. } => *stopped -= 1,
        Proof::Resumed { stopped } => *stopped += 1,
        Proof::ObjectChanged { before, after, .. } => after.clone_from(before),
        Proof::ObjectRepaired { value, .. } => value.push_str("-still-wrong"),
        // What is felt is a sentence: without the measurement there is no proof.
        _ => drop(record.events.remove(index)),
    }
    format!("event {index}: the measurement of a fault speaks against it")
}

fn stage_time(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let is_stage =
        |line: &EventLine| matches!(line.event, Event::FaultInjected { .. } | Event::FaultHealed { .. });
    let places = (0..record.events.len()).filter(|index| is_stage(&record.events[*index])).collect();
    let index = pick(places, random);
    record.events[index].at.0 -= 10 * SECOND;
    format!("event {index} was written down ten seconds too early")
}

fn clock(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let by = random.random_range(400..5_000) * MILLISECOND;
    let readings: Vec<usize> = (0..record.events.len())
        .filter(|index| matches!(record.events[*index].event, Event::Clock(_)))
        .collect();
    match random.random_range(0..3) {
        0 => record.probes.header.as_mut().unwrap().zero.0 += by,
        1 => record.load.header.as_mut().unwrap().zero.0 -= by,
        _ => {
            let index = pick(readings, random);
            if let Event::Clock(reading) = &mut record.events[index].event {
                reading.elapsed.0 += by;
            }
        }
    }
    format!("a clock was wrong by {} ms and did not say so", by / MILLISECOND)
}

fn round_time(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let index = random.random_range(0..record.probes.rounds.len() - 8);
    let round = &mut record.probes.rounds[index];
    round.start.0 += 5 * SECOND;
    round.end.0 += 5 * SECOND;
    format!("round {index} began five seconds later")
}

fn final_read(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let read = record.final_read.as_mut().unwrap();
    match random.random_range(0..3) {
        0 => read.revision.0 -= 5,
        1 => read.cluster_id = ClusterId(0xdead_beef),
        _ => read.first_revision.0 += 50,
    }
    "the final read is another one".to_owned()
}

fn head(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    match random.random_range(0..3) {
        0 => record.run.state = RunState::Interrupted,
        1 => record.run.seed = Seed(77),
        _ => record.run.scenario_text.push_str("allow: {quorumLoss: {quorumBackWithin: 60s}}\n"),
    }
    "the head of the record says something else".to_owned()
}

fn expectation(record: &mut RunRecord, random: &mut ChaCha8Rng) -> String {
    let schedule = &mut record.schedule;
    let longer = chaos::scenario::Period::from_seconds(600);
    match random.random_range(0..4) {
        0 => schedule.expect.longest_outage = longer,
        1 => schedule.expect.recovery_within = longer,
        2 => schedule.load.clients -= 1,
        _ => drop(schedule.steps.pop()),
    }
    "the schedule asks for less than the scenario".to_owned()
}

#[test]
fn every_kind_of_call_is_in_the_record() {
    let record = recorded();
    for fits in [
        |call: &Call| matches!(call, Call::Put { .. }),
        |call: &Call| matches!(call, Call::Get { .. }),
        |call: &Call| matches!(call, Call::Transaction(call) if call.puts.len() > 1),
    ] {
        assert!(record.load.operations.iter().any(|one| fits(&one.call)));
    }
}
