//! Whatever a correct etcd does passes, and whatever is changed about it afterwards is noticed.

use chaos::checker::{Judgement, Outcome as Judged, Rule, Verdict, judge};
use chaos::history::{Call, CommittedChange, Outcome, Reply, Revision, Value};
use chaos::record::RunRecord;
use proptest::prelude::*;

use super::model::{Shape, TINY, USUAL, run};

fn violated(judgement: &Judgement) -> Vec<Rule> {
    let wrong = judgement.assertions.iter().filter(|assertion| assertion.outcome == Judged::Violated);
    wrong.map(|assertion| assertion.rule).collect()
}

fn shape() -> impl Strategy<Value = Shape> {
    (4_u32..12, 1_u32..20, 20_u64..400).prop_map(|(clients, keys, pause)| Shape {
        clients,
        keys,
        pause,
        probe: 500,
    })
}

/// One change to what the clients or the log say. `choice` picks where; `None` if there is no such place in this run.
fn mutate(record: &mut RunRecord, kind: usize, choice: usize) -> Option<&'static str> {
    let operations = &mut record.load.operations;
    let pick =
        |places: Vec<usize>| -> Option<usize> { (!places.is_empty()).then(|| places[choice % places.len()]) };
    match kind {
        0 => {
            let acknowledged: Vec<Value> = operations.iter().filter_map(acknowledged_put).collect();
            let lost = acknowledged.get(choice % acknowledged.len().max(1))?.clone();
            record.committed.retain(
                |event| !matches!(&event.change, CommittedChange::Put { value, .. } if *value == lost),
            );
            Some("an acknowledged write is lost")
        }
        1 => {
            let index = pick(indices(operations, |operation| acknowledged_put(operation).is_some()))?;
            if let Outcome::Acknowledged(answer) = &mut operations[index].outcome {
                answer.revision = Revision(answer.revision.0 + 1);
            }
            Some("a write was acknowledged at another revision")
        }
        2 => {
            let index = pick(indices(operations, |operation| found(operation).is_some()))?;
            found_mut(&mut operations[index])?.value = Value("phantom".to_owned());
            Some("a read saw a value that nobody wrote")
        }
        3 => {
            let index = pick(indices(operations, |operation| found(operation) == Some(true)))?;
            if let Outcome::Acknowledged(answer) = &mut operations[index].outcome {
                answer.reply = Reply::Get { found: None };
            }
            Some("a read saw nothing where there was something")
        }
        4 => {
            let index = choice % record.committed.len().max(1);
            let event = record.committed.get_mut(index)?;
            event.key = chaos::history::Key("load/elsewhere".to_owned());
            Some("a committed change is under another key")
        }
        5 => {
            let event = record.committed.get(choice % record.committed.len().max(1))?.clone();
            let last = record.committed.last()?.revision;
            record.committed.push(chaos::history::CommittedEvent { revision: Revision(last.0 + 1), ..event });
            record.final_read.as_mut()?.revision = Revision(last.0 + 1);
            Some("a write was made twice")
        }
        6 => {
            let index = pick(indices(
                operations,
                |operation| matches!(&operation.outcome, Outcome::Acknowledged(answer) if matches!(answer.reply, Reply::Transaction { .. })),
            ))?;
            let operation = &mut operations[index];
            let Call::Transaction(call) = &operation.call else { return None };
            if let Outcome::Acknowledged(answer) = &mut operation.outcome
                && let Reply::Transaction { succeeded, found } = &mut answer.reply
            {
                *succeeded = !*succeeded;
                *found = if *succeeded { Vec::new() } else { vec![None; call.otherwise_get.len()] };
            }
            Some("a transaction was answered with its opposite")
        }
        _ => {
            let pairs = record.committed.windows(2).position(|pair| pair[0].key != pair[1].key)?;
            let (left, right) = (record.committed[pairs].clone(), record.committed[pairs + 1].clone());
            record.committed[pairs].change = right.change;
            record.committed[pairs + 1].change = left.change;
            Some("two committed changes are swapped")
        }
    }
}

fn indices(
    operations: &[chaos::history::Operation],
    wanted: impl Fn(&chaos::history::Operation) -> bool,
) -> Vec<usize> {
    (0..operations.len()).filter(|index| wanted(&operations[*index])).collect()
}

fn acknowledged_put(operation: &chaos::history::Operation) -> Option<Value> {
    match (&operation.call, &operation.outcome) {
        (Call::Put { value, .. }, Outcome::Acknowledged(_)) => Some(value.clone()),
        _ => None,
    }
}

fn found(operation: &chaos::history::Operation) -> Option<bool> {
    match &operation.outcome {
        Outcome::Acknowledged(answer) => match &answer.reply {
            Reply::Get { found: Some(_) } => Some(true),
            _ => None,
        },
        _ => None,
    }
}

fn found_mut(operation: &mut chaos::history::Operation) -> Option<&mut chaos::history::Found> {
    match &mut operation.outcome {
        Outcome::Acknowledged(answer) => match &mut answer.reply {
            Reply::Get { found } => found.as_mut(),
            _ => None,
        },
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_of_a_correct_etcd_passes(seed: u64, shape in shape()) {
        let judgement = judge(&run(seed, shape));
        let wrong: Vec<_> = judgement.assertions.iter().filter(|assertion| {
            // Few clients may write too little around a fault: that proves nothing, but nothing is violated.
            assertion.outcome == Judged::Violated
        }).collect();
        prop_assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn every_single_change_is_noticed(seed: u64, shape in shape(), kind in 0_usize..8, choice: usize) {
        let mut record = run(seed, shape);
        if let Some(what) = mutate(&mut record, kind, choice) {
            let judgement = judge(&record);
            prop_assert_eq!(judgement.verdict, Verdict::Fail, "{} was not noticed", what);
        }
    }
}

#[test]
fn the_usual_run_passes_with_nothing_left_open() {
    let judgement = judge(&run(7, USUAL));
    let open: Vec<_> =
        judgement.assertions.iter().filter(|assertion| assertion.outcome != Judged::Held).collect();
    assert!(open.is_empty(), "{open:#?}");
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert!(violated(&judge(&run(7, TINY))).is_empty());
}

#[test]
fn a_hundred_thousand_calls_are_judged_without_a_search() {
    // 64 clients at this pause make about 10^5 calls; a quadratic scan would take minutes, not a moment.
    let record = run(3, Shape { clients: 64, keys: 200, pause: 30, probe: 250 });
    assert!(record.load.operations.len() > 80_000, "{}", record.load.operations.len());
    assert_eq!(judge(&record).verdict, Verdict::Pass);
}
