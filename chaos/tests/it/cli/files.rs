//! Scenario files that cannot be run: each gets one message that names file, line and field, and nothing is started.

use std::os::unix::fs::PermissionsExt as _;

use super::place::{GOOD, Place};

fn good_with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from:?} is not in the good scenario");
    GOOD.replace(from, to)
}

/// Plans and runs one bad file; both must say the same, beginning with `wanted`.
fn both_refuse(bytes: impl AsRef<[u8]>, wanted: &str) {
    let place = Place::new();
    place.write("bad.yaml", bytes);
    let planned = place.refused(&["plan", "bad.yaml"]);
    let first = planned.lines().next().unwrap_or_default();
    assert!(first.starts_with(&format!("error: {wanted}")), "wanted {wanted:?}, said {first:?}");
    assert_eq!(planned, place.refused(&["run", "bad.yaml"]), "`run` and `plan` say the same");
    assert_eq!(planned, place.refused(&["run", "--out", "out", "bad.yaml"]), "with --out too");
}

#[test]
fn an_unknown_field_is_named_with_its_place() {
    both_refuse(
        good_with("    target: leader", "    victim: leader"),
        "bad.yaml:8:5: faults[0].victim: unknown field `victim`, expected one of kind,",
    );
    both_refuse(
        good_with("for: 4s}", "fro: 4s}"),
        "bad.yaml:9:67: faults[1].fro: unknown field `fro`, expected one of kind,",
    );
}

#[test]
fn a_duplicate_field_is_named_with_its_place() {
    both_refuse(
        good_with("    size: 3", "    size: 3\n    size: 5"),
        "bad.yaml:5:5: subject.cluster.size: this key stands here for the second time",
    );
    both_refuse(
        good_with("for: 4s}", "for: 4s, at: 3s}"),
        "bad.yaml:9:76: faults[1].at: this key stands here for the second time",
    );
}

#[test]
fn a_wrong_type_is_named_with_its_place() {
    for (from, to, wanted) in [
        ("size: 3", "size: three", "bad.yaml:4:11: subject.cluster.size: a whole number is expected"),
        ("size: 3", "size: -3", "bad.yaml:4:11: subject.cluster.size: a whole number is expected"),
        (
            "size: 3",
            "size: 99999999999999999999",
            "bad.yaml:4:11: subject.cluster.size: a whole number is expected",
        ),
        ("name: good", "name: [good]", "bad.yaml:1:7: name: a text is expected here"),
        ("faults:\n", "load: 3\nfaults:\n", "bad.yaml:5:7: load: a mapping is expected here"),
        (
            "faults:\n",
            "load: {clients: many}\nfaults:\n",
            "bad.yaml:5:17: load.clients: a whole number is expected",
        ),
        ("for: 4s}", "for: {seconds: 4}}", "bad.yaml:9:72: faults[1].for: a text is expected here"),
        ("for: 4s}", "for: 4}", "bad.yaml:9:72: faults[1].for: the unit is missing"),
    ] {
        both_refuse(good_with(from, to), wanted);
    }
    both_refuse("- name: x\n", "bad.yaml:1:1: a mapping is expected here");
    both_refuse("hello\n", "bad.yaml:1:1: a mapping is expected here");
}

#[test]
fn a_missing_field_is_named_where_it_should_stand() {
    both_refuse(good_with("name: good\n", ""), "bad.yaml:4:1: name: this field is missing");
    both_refuse(
        good_with("  cluster:\n    size: 3\n", "  cluster: {version: 3.6.16}\n"),
        "bad.yaml:3:13: subject.cluster.size: this field is missing",
    );
}

#[test]
fn an_empty_file_is_refused() {
    for bytes in ["", "\n\n", "# only words\n", "---\n"] {
        both_refuse(bytes, "bad.yaml:1: the file is empty");
    }
}

#[test]
fn a_truncated_file_is_refused_wherever_it_was_cut() {
    // A cut between two faults, or before a value with a default, leaves a whole scenario: only what cannot be whole is here.
    for (end, wanted) in [
        ("fau", "bad.yaml:5:1: "),
        ("kind: pod-", "bad.yaml:7:11: faults[0].kind: unknown variant `pod-`"),
        ("    target: lea", "bad.yaml:8:13: faults[0].target: unknown variant `lea`"),
        ("kind: partition, direc", "bad.yaml:9:"),
        ("target: follower, for: ", "bad.yaml:9:"),
    ] {
        let cut = &GOOD[..GOOD.find(end).unwrap() + end.len()];
        both_refuse(cut, wanted);
    }
}

#[test]
fn a_binary_file_is_refused_at_its_first_byte_that_is_no_text() {
    both_refuse(
        b"name: a\n\x7fELF\x00\x01",
        "bad.yaml:2: this is not text: a scenario is a YAML file in UTF-8",
    );
    both_refuse([0xff, 0xfe, 0x00], "bad.yaml:1: this is not text");
    let program = std::fs::read("/proc/self/exe").unwrap();
    both_refuse(&program[..4096], "bad.yaml:1: this is not text");
}

#[test]
fn cycles_and_everything_else_with_anchors_are_refused() {
    both_refuse(
        "name: &a [*a]\n",
        "bad.yaml:1:10: name: anchors (`&name`) and aliases (`*name`) are not accepted",
    );
    both_refuse(
        good_with("target: leader", "target: &a leader"),
        "bad.yaml:8:16: faults[0].target: anchors (`&name`)",
    );
    let mut bomb = "a: &a [x, x]\n".to_owned();
    for (before, after) in ('a'..'y').zip('b'..'z') {
        bomb.push_str(&format!("{after}: &{after} [*{before}, *{before}, *{before}]\n"));
    }
    both_refuse(bomb, "bad.yaml:1:");
}

#[test]
fn huge_files_are_refused_without_being_parsed_or_repeated() {
    both_refuse(
        "name: x\n".repeat(40_000),
        "bad.yaml:32769: the file is too large: a scenario has at most 256 KiB",
    );
    both_refuse(format!("name: {}", "[".repeat(100_000)), "bad.yaml:1:7: name: a text is expected here");
    both_refuse(format!("subject: {}", "{a: ".repeat(50_000)), "bad.yaml:1:");
    both_refuse(GOOD.to_owned() + &"  - {at: 5s, kind: operator-kill}\n".repeat(5000), "bad.yaml:");
    both_refuse(
        good_with("name: good", &format!("name: {}", "a".repeat(100_000))),
        "bad.yaml:1:7: name: `aaaa",
    );
    let place = Place::new();
    let said = place.refused(&["run", "/dev/zero"]);
    assert!(said.starts_with("error: /dev/zero:1: the file is too large"), "{said}");
}

#[test]
fn an_impossible_target_is_refused() {
    both_refuse(
        good_with("target: leader", "target: operator"),
        "bad.yaml:8:13: faults[0].target: `pod-kill` hits members: write leader, follower, member, minority or all",
    );
    both_refuse(
        good_with("target: leader", "target: boss"),
        "bad.yaml:8:13: faults[0].target: unknown variant `boss`",
    );
    both_refuse(
        good_with("target: leader", "sameTargetAs: nobody"),
        "bad.yaml:8:19: faults[0].sameTargetAs: no fault before this one is named `nobody`",
    );
}

#[test]
fn an_even_size_is_refused() {
    for size in [0, 2, 4, 9] {
        both_refuse(
            good_with("size: 3", &format!("size: {size}")),
            &format!(
                "bad.yaml:4:11: subject.cluster.size: {size} is not a size of an etcd cluster: write 1, 3, 5 or 7"
            ),
        );
    }
}

#[test]
fn a_fault_beyond_the_quorum_needs_permission() {
    both_refuse(
        good_with("target: leader", "target: all"),
        "bad.yaml:8:13: faults[0].target: 3 of 3 members would be away and 1 can be spared: the quorum would be lost",
    );
    both_refuse(good_with("at: 20s", "at: 6s"), "bad.yaml:9:10: faults[1].at: 2 of 3 members would be away");
    let place = Place::new();
    let allowed = good_with("target: leader", "target: all")
        .replace("faults:", "allow: {quorumLoss: {quorumBackWithin: 60s}}\nfaults:");
    place.write("allowed.yaml", allowed);
    assert_eq!(place.chaos(&["plan", "allowed.yaml"]).code, Some(0), "with permission it is planned");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let place = Place::new();
    for (file, wanted) in [
        ("no-such.yaml", "error: no-such.yaml: cannot be read: No such file or directory"),
        (".", "error: .: cannot be read: Is a directory"),
        ("secret.yaml/below", "error: secret.yaml/below: cannot be read: Not a directory"),
    ] {
        place.write("secret.yaml", GOOD);
        for command in ["plan", "run"] {
            let said = place.refused(&[command, file]);
            assert!(said.starts_with(wanted), "{said}");
        }
    }
}

#[test]
fn an_unreadable_file_is_named() {
    let place = Place::new();
    place.write("secret.yaml", GOOD);
    let secret = place.work().join("secret.yaml");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    let said = place.refused_command(&mut super::environment::as_nobody(&place, &["run", "secret.yaml"]));
    assert!(said.starts_with("error: secret.yaml: cannot be read: Permission denied"), "{said}");
}

#[test]
fn one_bad_file_among_several_keeps_all_of_them_from_running() {
    let place = Place::new();
    place.write("good.yaml", GOOD);
    place.write("bad.yaml", good_with("size: 3", "size: 4"));
    let said = place.refused(&["run", "--out", "out", "good.yaml", "bad.yaml"]);
    assert!(said.starts_with("error: bad.yaml:4:11: subject.cluster.size: 4 is not a size"), "{said}");
    let said = place.refused(&["run", "--out", "out", "good.yaml", "good.yaml"]);
    assert!(said.contains("two of the files have the name good"), "{said}");
}

#[test]
fn the_message_is_one_line_however_long_the_name_of_the_file_and_the_picture_follows() {
    let place = Place::new();
    let name = format!("{}.yaml", "long-name".repeat(20));
    place.write(&name, good_with("size: 3", "size: 4"));
    let said = place.refused(&["plan", &name]);
    assert!(
        said.lines().next().unwrap().starts_with(&format!("error: {name}:4:11: subject.cluster.size: ")),
        "{said}"
    );
    assert!(said.contains("4 │     size: 4"), "{said}");
}

#[test]
fn what_is_not_built_yet_is_said_at_the_field_that_asks_for_it() {
    let place = Place::new();
    let selector = "selector: {namespace: a, labels: {app: etcd}, size: 3}";
    place.write("bad.yaml", good_with("cluster:\n    size: 3", selector));
    let said = place.refused(&["run", "bad.yaml"]);
    assert!(said.starts_with("error: bad.yaml:3:3: subject.selector: a selector is not built yet"), "{said}");
}
