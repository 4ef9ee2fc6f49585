//! Tests of reading and writing histories: cut lines, gaps and foreign formats are named, never passed over.

use super::*;

fn operation() -> Line {
    Line::Operation(Operation {
        client: ClientId(3),
        sequence: 7,
        start: Elapsed(10),
        end: Elapsed(25),
        sent_to: Some(SentTo::Member("10.244.0.3".into())),
        call: Call::Put { key: Key("load/1".into()), value: Value("3-7".into()) },
        outcome: Outcome::Acknowledged(Acknowledgement {
            revision: Revision(42),
            cluster_id: ClusterId(0xcdf8_1819_4e3a_8c32),
            member_id: MemberId(0x8e9e_05c5_2164_694d),
            reply: Reply::Put,
        }),
    })
}

#[test]
fn an_operation_is_one_readable_line() {
    let line = String::from_utf8(write_line(&operation())).unwrap();
    insta::assert_snapshot!(line.trim_end(), @r#"{"line":"operation","client":3,"sequence":7,"start":10,"end":25,"sentTo":{"member":"10.244.0.3"},"call":{"kind":"put","key":"load/1","value":"3-7"},"outcome":{"kind":"acknowledged","revision":42,"clusterId":"cdf818194e3a8c32","memberId":"8e9e05c52164694d","reply":{"to":"put"}}}"#);
}

#[test]
fn every_kind_of_line_survives_a_round_trip() {
    let member = ProbedMember {
        address: "10.244.0.3".into(),
        status: Observation::Failed("connection refused".into()),
        read: Observation::NotAsked,
        members: Observation::Answered(vec![ListedMember {
            member_id: MemberId(1),
            name: "c-abcde-0".into(),
            learner: true,
        }]),
    };
    let lines = vec![
        Line::Header(Header::new(Writer::Load, UnixNanoseconds(1_700_000_000_000_000_000), "load/")),
        operation(),
        Line::Probe(ProbeRound {
            number: Some(1),
            start: Elapsed(1),
            end: Elapsed(2),
            members: vec![member],
            resolve_error: None,
        }),
        Line::End(End { at: Elapsed(3), lines: 3 }),
    ];
    let bytes: Vec<u8> = lines.iter().flat_map(write_line).collect();
    assert_eq!(read_lines::<Line>("load.jsonl", &bytes).unwrap(), Lines { lines, cut: None });
}

#[test]
fn a_cut_last_line_is_accepted_and_named() {
    let mut bytes = write_line(&operation());
    bytes.extend_from_slice(&write_line(&operation())[..20]);
    let read = read_lines::<Line>("load.jsonl", &bytes).unwrap();
    assert_eq!(read.lines, vec![operation()]);
    assert_eq!(read.cut, Some(CutLine { file: "load.jsonl".into(), line: 2, bytes: 20 }));
}

#[test]
fn a_broken_line_in_the_middle_is_an_error_that_names_file_and_line() {
    let mut bytes = b"{\"line\":\"operation\"\n".to_vec();
    bytes.extend(write_line(&operation()));
    let error = read_lines::<Line>("load.jsonl", &bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "load.jsonl:1: failed to read the record: this is not a line of this format"
    );
}

#[test]
fn a_last_line_that_only_lacks_its_line_feed_is_whole() {
    let bytes = write_line(&operation());
    let read = read_lines::<Line>("load.jsonl", &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(read, Lines { lines: vec![operation()], cut: None });
}
