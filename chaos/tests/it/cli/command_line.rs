//! Arguments that cannot be followed.

use super::place::{GOOD, Place};
use crate::support::agent::CHAOS;

#[test]
fn arguments_that_cannot_be_followed_are_refused_before_anything_starts() {
    let place = Place::new();
    place.write("good.yaml", GOOD);
    for (arguments, wanted) in [
        (&["run"][..], "<FILE>"),
        (&["run", "--cluster", "nowhere", "good.yaml"], "invalid value 'nowhere' for '--cluster <KIND>'"),
        (&["run", "--cluster", "current", "good.yaml"], "--cluster current needs --context NAME"),
        (&["run", "--nodes", "3", "good.yaml"], "--nodes belongs to --cluster bare"),
        (&["cluster", "up", "--cluster", "bare", "--nodes", "0"], "a bare cluster has 1 to 9 nodes"),
        (&["run", "--node-image", "x", "good.yaml"], "--node-image belongs to --cluster kind"),
        (&["run", "--context", "somewhere", "good.yaml"], "--context belongs to --cluster current"),
        (&["run", "--name", "Not_A_Name", "good.yaml"], "invalid value 'Not_A_Name' for '--name <NAME>'"),
        (&["run", "--name", "absent", "good.yaml"], "there is no lasting cluster absent; make it with"),
        (&["run", "--seed", "-1", "good.yaml"], "'-1'"),
        (&["run", "--seed", "many", "good.yaml"], "invalid value 'many' for '--seed <N>'"),
        (&["run", "--listen", "here", "good.yaml"], "invalid value 'here' for '--listen <ADDRESS>'"),
        (&["run", "--unknown", "good.yaml"], "unexpected argument '--unknown'"),
        (&["plan"], "<FILE>"),
        (&["run", "--repeat", "0", "good.yaml"], "invalid value '0' for '--repeat <N>'"),
        (&["run", "--until", "noon", "good.yaml"], "invalid value 'noon' for '--until <WHAT>'"),
        (&["cluster", "up", "--cluster", "current"], "it is not ours to bring up or down"),
        (&["heal"], "a cluster without a name ends with its run"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
    ] {
        let said = place.refused(arguments);
        assert!(said.contains(wanted), "{arguments:?}: wanted {wanted:?}, said {said}");
    }
}

#[test]
fn a_context_that_is_not_there_is_named_beside_those_that_are() {
    let place = Place::new();
    place.write("good.yaml", GOOD);
    place.write(
        "kubeconfig",
        "apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts:\n- {name: mine, context: {cluster: c, user: u}}\n",
    );
    let mut command = place.command(&["run", "--cluster", "current", "--context", "other", "good.yaml"]);
    let said = place.refused_command(command.env("KUBECONFIG", place.work().join("kubeconfig")));
    assert!(said.contains("the kubeconfig has no context \"other\"; it has: mine"), "{said}");
    let mut command = place.command(&["run", "--cluster", "current", "--context", "other", "good.yaml"]);
    let said = place.refused_command(command.env("KUBECONFIG", place.work().join("absent")));
    assert!(
        said.contains("failed to read the kubeconfig that $KUBECONFIG or ~/.kube/config names"),
        "{said}"
    );
}

#[test]
fn a_place_for_the_record_that_is_taken_is_refused() {
    let place = Place::new();
    place.write("good.yaml", GOOD);
    let said = place.refused(&["run", "--out", "good.yaml", "good.yaml"]);
    assert!(said.contains("good.yaml is not a directory: name another with --out"), "{said}");
    place.write("run.json", "{}");
    let said = place.refused(&["run", "--out", ".", "good.yaml"]);
    assert!(said.contains(". holds a run already: name another with --out"), "{said}");
}

#[test]
fn a_plan_is_a_timeline_for_people_and_json_for_programs_of_as_many_files_as_are_named() {
    let place = Place::new();
    place.write("good.yaml", GOOD);
    place.write("other.yaml", GOOD.replace("name: good", "name: other"));
    let answer = place.chaos(&["plan", "good.yaml", "other.yaml", "--seed", "7"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    insta::assert_snapshot!(answer.stdout);
    let answer = place.chaos(&["plan", "--json", "good.yaml", "other.yaml"]);
    let documents = serde_json::Deserializer::from_str(&answer.stdout).into_iter::<serde_json::Value>();
    let names: Vec<_> = documents.map(|document| document.unwrap()["scenario"].clone()).collect();
    assert_eq!(names, ["good", "other"]);
}

#[test]
fn a_scenario_that_cannot_begin_is_in_the_junit_of_all() {
    let place = Place::new();
    place.write("good.yaml", GOOD);
    place.write("file", "");
    let arguments =
        ["run", "--operator-binary", CHAOS, "--out", "file/out", "--junit", "reports/all.xml", "good.yaml"];
    let answer = place.chaos(&arguments);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    let junit = std::fs::read_to_string(place.work().join("reports/all.xml")).unwrap();
    assert!(junit.contains("errors=\"1\"") && junit.contains("run-begun"), "{junit}");
}

#[test]
fn help_teaches_the_exit_codes() {
    let answer = Place::new().chaos(&["--help"]);
    assert_eq!(answer.code, Some(0));
    assert!(answer.stdout.contains("Exit codes: 0 every run passed; 1 some run failed"), "{}", answer.stdout);
}
