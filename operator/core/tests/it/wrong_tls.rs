//! The wrong operators whose certificates break a rule: the modelled cluster notices each of them, where the right one gets there.

use etcd_operator_core::names::ANNOTATION_ROTATE;
use etcd_operator_mutants::Mutant;

use super::model::Model;
use super::wrong_upgrades::of_version;

const DAY: i64 = 24 * 3600;

/// TLS is switched on; a year passes, three times; the authorities are rotated; one of them is lost; TLS is switched off.
fn tell(mutant: Option<Mutant>) {
    let mut model = of_version("3.6.16");
    model.mutant = mutant;
    model.switch_tls_on(3 * 365 * DAY, 10 * 365 * DAY, 7 * DAY);
    go_on(&mut model, 120);
    for _ in 0..3 {
        model.advance(365 * DAY);
        go_on(&mut model, 20);
    }
    let annotations = model.cluster.metadata.annotations.get_or_insert_default();
    annotations.insert(ANNOTATION_ROTATE.to_owned(), "once".to_owned());
    model.bump_cluster();
    for _ in 0..3 {
        go_on(&mut model, 120);
        model.advance(8 * DAY);
    }
    model.secrets.remove("demo-peer-ca");
    go_on(&mut model, 20);
    model.change_spec(|spec| spec.tls = None);
    go_on(&mut model, 120);
    model.advance(8 * DAY);
    go_on(&mut model, 120);
    assert!(model.has_arrived());
}

fn go_on(model: &mut Model, passes: usize) {
    for _ in 0..passes {
        model.pass();
        assert!(model.has_quorum(), "the quorum is lost");
        assert!(model.all_understand_each_other(), "members do not understand each other");
    }
}

#[test]
fn the_right_operator_gets_there_where_each_wrong_one_is_noticed() {
    tell(None);
}

#[test]
#[should_panic(expected = "the quorum is lost")]
fn the_model_notices_the_mutant_renews_never() {
    tell(Some(Mutant::RenewsNever));
}

#[test]
#[should_panic(expected = "members do not understand each other")]
fn the_model_notices_the_mutant_forgets_old_authority() {
    tell(Some(Mutant::ForgetsOldAuthority));
}

#[test]
#[should_panic(expected = "to trust the next authority")]
fn the_model_notices_the_mutant_hurries_clients() {
    tell(Some(Mutant::HurriesClients));
}

#[test]
#[should_panic(expected = "an authority of peers is made anew")]
fn the_model_notices_the_mutant_replaces_lost_authority() {
    tell(Some(Mutant::ReplacesLostAuthority));
}

#[test]
#[should_panic(expected = "members do not understand each other")]
fn the_model_notices_the_mutant_skips_both() {
    tell(Some(Mutant::SkipsBoth));
}

#[test]
#[should_panic(expected = "nobody reaches")]
fn the_model_notices_the_mutant_moves_peers_early() {
    tell(Some(Mutant::MovesPeersEarly));
}

#[test]
#[should_panic(expected = "members do not understand each other")]
fn the_model_notices_the_mutant_drops_plain_text_early() {
    tell(Some(Mutant::DropsPlainTextEarly));
}

#[test]
#[should_panic(expected = "the operator itself took the quorum")]
fn the_model_notices_that_two_restart_at_once_for_it() {
    tell(Some(Mutant::RestartsTwo));
}
