//! Tests of parsing scenarios and of turning them into schedules.

use super::*;

const GOOD: &str = "\
name: quickstart
subject:
  cluster:
    size: 3
faults:
  - name: kill
    at: 5s
    kind: pod-kill
    target: leader
  - name: cut
    when:
      faultEnded: kill
      within: 30s
    kind: partition
    direction: any
    target: follower
    for: 4s
";

const KILL: &str = "kind: pod-kill\n    target: leader";

fn good_with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from:?} is not in the good scenario");
    GOOD.replace(from, to)
}

fn error_of(text: &str) -> String {
    let error = parse("x.yaml", text.as_bytes()).expect_err(text);
    error.to_string()
}

#[test]
fn a_small_scenario_gets_sane_defaults() {
    let scenario = parse("x.yaml", GOOD.as_bytes()).unwrap();
    assert_eq!(scenario.seed, Seed(1));
    assert_eq!(scenario.subject.size().members(), 3);
    assert_eq!(scenario.expect.status_lag_within, Period::from_seconds(10));
    assert_eq!(scenario.faults[0].fault, Fault::PodKill { grace: Period::default() });
    assert!(scenario.faults[1].any_direction);
}

#[test]
fn each_wrong_scenario_gets_one_message_with_file_line_column_and_field() {
    insta::assert_snapshot!(said([
        ("an unknown field", good_with("    target: leader", "    victim: leader")),
        ("a duplicate field", good_with("    size: 3", "    size: 3\n    size: 5")),
        ("a wrong type", good_with("size: 3", "size: three")),
        ("an even size", good_with("size: 3", "size: 4")),
        ("a missing field", good_with("name: quickstart\n", "")),
        ("an unknown kind", good_with("kind: pod-kill", "kind: pod-murder")),
        ("an unknown target", good_with("target: leader", "target: boss")),
        ("a target that cannot be hit", good_with("target: leader", "target: operator")),
        ("a field of another kind", good_with("target: leader", "target: leader\n    for: 3s")),
        ("a fault beyond the quorum", good_with("target: leader", "target: all")),
        ("a kind without its duration", good_with("    for: 4s\n", "")),
        ("a duration without a unit", good_with("for: 4s", "for: 4")),
        ("a time and a fact", good_with("    at: 5s", "    at: 5s\n    when: {event: healthy}")),
        ("neither time nor fact", good_with("    at: 5s\n", "")),
        ("two facts", good_with("      within: 30s", "      event: healthy")),
        ("an unknown earlier fault", good_with("faultEnded: kill", "faultEnded: kil")),
        ("the same name twice", good_with("name: cut", "name: kill")),
        ("an unsupported version", good_with("size: 3", "size: 3\n    version: 3.4.23")),
        ("no version", good_with("size: 3", "size: 3\n    version: latest")),
        ("no quantity", good_with("size: 3", "size: 3\n    storage: big")),
        ("a bad name", good_with("name: quickstart", "name: Quick Start")),
        ("no writes", good_with("faults:", "load: {mix: {get: 1}}\nfaults:")),
        ("a loose boolean where a number belongs", good_with("size: 3", "size: yes")),
        ("no fault", GOOD[..GOOD.find("faults:").unwrap()].to_owned() + "faults: []\n"),
        ("no subject", good_with("  cluster:\n    size: 3\n", "  {}\n")),
        ("a truncated file", GOOD[..GOOD.len() - 60].to_owned() + "\n    kind: [par"),
        ("an anchor", good_with("target: leader", "target: &a leader")),
        ("a cycle", "name: &a [*a]\n".to_owned()),
        ("two documents", format!("{GOOD}---\n{GOOD}")),
        ("a list", "- a\n- b\n".to_owned()),
        ("an empty file", String::new()),
        ("only comments", "# nothing\n\n".to_owned()),
        (
            "two faults at once",
            good_with("    when:\n      faultEnded: kill\n      within: 30s\n", "    at: 6s\n"),
        ),
        ("quorum loss without a promise", good_with("faults:", "allow: {quorumLoss: {}}\nfaults:")),
    ]));
}

#[test]
fn each_wrong_change_and_request_gets_one_message_too() {
    let too_long = format!("kind: change\n    spec: {{a: {}}}\n    effect: none", "x".repeat(17_000));
    insta::assert_snapshot!(said([
        ("a change without its patch", good_with(KILL, "kind: change\n    effect: none")),
        ("a change without its effect", good_with(KILL, "kind: change\n    spec: {etcd: {a: 1}}")),
        ("an unknown effect", good_with(KILL, "kind: change\n    spec: {etcd: {a: 1}}\n    effect: some")),
        ("a patch that is no mapping", good_with(KILL, "kind: change\n    spec: large\n    effect: none")),
        ("a patch that changes nothing", good_with(KILL, "kind: change\n    spec: {}\n    effect: none")),
        ("a patch of the size", good_with(KILL, "kind: change\n    spec: {size: 5}\n    effect: none")),
        (
            "a patch of the version",
            good_with(KILL, "kind: change\n    spec: {version: 3.5.32}\n    effect: none"),
        ),
        ("a patch that is too long", good_with(KILL, &too_long)),
        (
            "a time for a change that stands",
            good_with(KILL, "kind: change\n    spec: {etcd: {a: 1}}\n    effect: none\n    for: 3s"),
        ),
        (
            "a change of one member",
            good_with(KILL, "kind: change\n    spec: {etcd: {a: 1}}\n    effect: none\n    target: leader"),
        ),
        ("an upgrade to nothing", good_with(KILL, "kind: upgrade")),
        ("an upgrade to what is no version", good_with(KILL, "kind: upgrade\n    version: \"3.7\"")),
        ("an upgrade to an unsupported version", good_with(KILL, "kind: upgrade\n    version: 3.5.20")),
        ("an upgrade to the version that is there", good_with(KILL, "kind: upgrade\n    version: 3.6.16")),
        (
            "an upgrade of one member",
            good_with(KILL, "kind: upgrade\n    version: 3.7.3\n    target: leader")
        ),
        ("a version for a kill", good_with(KILL, "kind: pod-kill\n    target: leader\n    version: 3.7.3")),
        ("a backup of one member", good_with(KILL, "kind: backup\n    target: leader")),
        (
            "a backup of more than can be compared",
            good_with(KILL, "kind: backup").replace("faults:", "load: {valueBytes: 65536}\nfaults:"),
        ),
        ("a request for nothing", good_with(KILL, "kind: request")),
        ("a request for something unknown", good_with(KILL, "kind: request\n    ask: rest")),
        ("a replacement of nobody", good_with(KILL, "kind: request\n    ask: replace")),
        ("a replacement of all", good_with(KILL, "kind: request\n    ask: replace\n    target: all")),
        ("a restart of one", good_with(KILL, "kind: request\n    ask: restart\n    target: leader")),
        (
            "the leadership to the leader",
            good_with(KILL, "kind: request\n    ask: move-leader\n    target: leader"),
        ),
        (
            "a request about an earlier target",
            good_with(
                "    kind: partition\n    direction: any\n    target: follower\n    for: 4s",
                "    kind: request\n    ask: replace\n    sameTargetAs: kill",
            ),
        ),
    ]));
}

/// What is said about each wrong scenario, after what is wrong with it.
fn said<const CASES: usize>(cases: [(&str, String); CASES]) -> String {
    let line = |(what, text): (&str, String)| {
        let error = error_of(&text);
        assert_eq!(error.lines().count(), 1, "{what}: {error}");
        format!("{what}\n  {error}\n")
    };
    cases.into_iter().map(line).collect()
}

#[test]
fn a_change_and_a_request_say_what_is_asked_for() {
    let patch = "kind: change\n    spec: {pod: {nodeSelector: {nowhere: \"true\"}, labels: null}, etcd: {snapshotCount: 5000}}";
    let fault = |text: &str| parse("x.yaml", good_with(KILL, text).as_bytes()).unwrap().faults[0].clone();
    let Fault::Change { spec, effect, lasting } = fault(&format!("{patch}\n    effect: refused")).fault
    else {
        panic!("a change is a change")
    };
    let json = serde_json::json!({
        "pod": {"nodeSelector": {"nowhere": "true"}, "labels": null},
        "etcd": {"snapshotCount": 5000},
    });
    assert_eq!(serde_json::Value::Object(spec), json);
    assert_eq!((effect, lasting), (ChangeEffect::Refused, Some(Period::from_seconds(20))));
    let planned = fault(&format!("{patch}\n    effect: refused\n    for: 3s"));
    assert_eq!(planned.fault.lasting(), Some(Period::from_seconds(3)));
    assert_eq!((planned.target, planned.fault.stops_members()), (Target::Cluster, false));
    assert_eq!(fault(&format!("{patch}\n    effect: restarted")).fault.lasting(), None);
    let planned = fault("kind: request\n    ask: restart");
    assert_eq!((planned.fault, planned.target), (Fault::Request { ask: Ask::Restart }, Target::Cluster));
    let planned = fault("kind: request\n    ask: move-leader\n    target: follower");
    assert_eq!((planned.fault, planned.target), (Fault::Request { ask: Ask::MoveLeader }, Target::Follower));
}

#[test]
fn an_upgrade_is_called_by_where_it_leads_from_what_was_declared_before() {
    let text = "name: x\nsubject: {cluster: {size: 3, version: 3.6.16}}\nfaults:\n  - {kind: upgrade, version: 3.7.3, at: 1s}\n  \
                - {kind: upgrade, version: 3.6.16, at: 9s}\n  - {kind: roll, at: 20s}\n";
    let schedule = schedule(&parse("x.yaml", text.as_bytes()).unwrap(), Seed(3));
    let titles: Vec<String> = schedule.steps.iter().map(|step| schedule.title(step)).collect();
    assert_eq!(titles, ["upgrade to 3.7.3", "downgrade to 3.6.16", "roll"]);
    let versions: Vec<&str> = schedule.etcd_versions().into_iter().map(EtcdVersion::as_str).collect();
    assert_eq!(versions, ["3.6.16", "3.7.3"]);
    assert_eq!(serde_json::from_str::<Schedule>(&schedule_json(&schedule)).unwrap(), schedule);
}

#[test]
fn a_schedule_with_a_change_reads_back_as_it_was() {
    let text = "kind: change\n    spec: {etcd: {snapshotCount: 5000}, image: null}\n    effect: refused";
    let scenario = parse("x.yaml", good_with(KILL, text).as_bytes()).unwrap();
    let schedule = schedule(&scenario, Seed(3));
    let read: Schedule = serde_json::from_str(&schedule_json(&schedule)).unwrap();
    assert_eq!(read, schedule);
}

#[test]
fn binary_and_huge_files_are_refused_before_they_are_parsed() {
    let error = parse("x.yaml", b"name: a\n\x7fELF\x00\x01").unwrap_err().to_string();
    assert_eq!(error, "x.yaml:2: this is not text: a scenario is a YAML file in UTF-8");
    let error = parse("x.yaml", &[0xff, 0xfe]).unwrap_err().to_string();
    assert_eq!(error, "x.yaml:1: this is not text: a scenario is a YAML file in UTF-8");
    let error = parse("x.yaml", &vec![b'#'; LARGEST_FILE + 1]).unwrap_err().to_string();
    assert_eq!(error, "x.yaml:1: the file is too large: a scenario has at most 256 KiB");
    let deep = format!("name: {}", "[".repeat(100_000));
    assert!(parse("x.yaml", deep.as_bytes()).is_err());
    let many = format!("{GOOD}{}", "  - kind: process-kill\n    target: member\n    at: 1s\n".repeat(3000));
    assert!(parse("x.yaml", many.as_bytes()).is_err());
}

#[test]
fn a_missing_file_is_named() {
    let error = load(std::path::Path::new("no/such.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("no/such.yaml: cannot be read: "), "{error}");
}

#[test]
fn the_picture_of_an_error_shows_the_line() {
    let error = parse("x.yaml", good_with("size: 3", "size: 4").as_bytes()).unwrap_err();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
    let mut picture = String::new();
    handler.render_report(&mut picture, &error).unwrap();
    assert!(picture.contains("size: 4") && picture.contains("x.yaml:4:11"), "{picture}");
}

#[test]
fn losing_the_quorum_is_allowed_where_the_scenario_says_what_must_then_hold() {
    let text = good_with("target: leader", "target: all")
        .replace("faults:", "allow: {quorumLoss: {quorumBackWithin: 60s}}\nfaults:");
    let scenario = parse("x.yaml", text.as_bytes()).unwrap();
    assert!(scenario.allow.quorum_loss.is_some());
}

#[test]
fn destroying_a_majority_of_disks_is_refused_even_then() {
    let text = good_with("kind: pod-kill\n    target: leader", "kind: disk-lost\n    target: all")
        .replace("faults:", "allow: {quorumLoss: {quorumBackWithin: 60s}}\nfaults:");
    assert!(error_of(&text).contains("would destroy 3 of 3 disks"));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_other_choices() {
    let scenario = parse("x.yaml", GOOD.as_bytes()).unwrap();
    let one = schedule_json(&schedule(&scenario, Seed(7)));
    assert_eq!(one, schedule_json(&schedule(&scenario, Seed(7))));
    for other in 8..40 {
        let mut other = schedule(&scenario, Seed(other));
        other.seed = Seed(7);
        assert_ne!(one, schedule_json(&other), "the choices differ, not only the number of the seed");
    }
}

#[test]
fn jitter_stays_within_its_bounds() {
    let scenario = parse("x.yaml", good_with("at: 5s", "at: 5s\n    jitter: 2s").as_bytes()).unwrap();
    let mut times: Vec<u64> = (0..200)
        .map(|seed| match schedule(&scenario, Seed(seed)).steps[0].trigger {
            Trigger::At(at) => at.nanoseconds() / 1_000_000,
            Trigger::When { .. } => panic!("the first fault has a time"),
        })
        .collect();
    times.sort_unstable();
    assert!(times[0] >= 3000 && times[199] <= 7000, "{times:?}");
    assert!(times[0] < 3200 && times[199] > 6800, "the whole range is used: {times:?}");
}

#[test]
fn another_fault_leaves_the_choices_of_the_first_ones_alone() {
    let scenario = parse("x.yaml", GOOD.as_bytes()).unwrap();
    let more = format!("{GOOD}  - {{kind: operator-kill, at: 20s}}\n");
    let more = parse("x.yaml", more.as_bytes()).unwrap();
    let (few, many) = (schedule(&scenario, Seed(3)), schedule(&more, Seed(3)));
    assert_eq!(few.steps[..], many.steps[..2]);
    assert_eq!(few.load_seed, many.load_seed);
}

#[test]
fn the_spec_of_tls_is_kept_in_the_schedule_and_absent_where_there_is_none() {
    let scheduled =
        |text: &str| schedule_json(&schedule(&parse("x.yaml", text.as_bytes()).unwrap(), Seed(3)));
    assert!(!scheduled(GOOD).contains("tls"));
    let tls = "    size: 3\n    tls: {clientCertificates: Optional}";
    let read: Schedule = serde_json::from_str(&scheduled(&good_with("    size: 3", tls))).unwrap();
    let Subject::Cluster(cluster) = &read.subject else { panic!("{:?}", read.subject) };
    let kept = serde_json::to_value(&cluster.tls).unwrap();
    assert_eq!(kept, serde_json::json!({ "clientCertificates": "Optional" }));
    assert_eq!(read.encryption(), Encryption::Always);
}

#[test]
fn a_recorded_schedule_reads_back_as_it_was() {
    let scenario = parse("x.yaml", GOOD.as_bytes()).unwrap();
    let schedule = schedule(&scenario, Seed(3));
    let read: Schedule = serde_json::from_str(&schedule_json(&schedule)).unwrap();
    assert_eq!(read, schedule);
}
