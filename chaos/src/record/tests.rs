//! Tests of reading a run directory: what is missing or cut becomes a problem of the record, not an end of the reading.

use super::*;
use crate::history::{UnixNanoseconds, read_lines, write_line};

#[test]
fn an_event_is_one_readable_line() {
    let line = EventLine {
        at: UnixNanoseconds(5),
        event: Event::FaultProof {
            fault: "cut-leader".parse().unwrap(),
            pod: Some("c-abcde-0".into()),
            proof: Proof::PartitionFelt {
                dropped_packets: 17,
                inbound_packets: None,
                outbound_packets: None,
                cut: vec![Dial { peer: "10.244.0.4:2380".into(), connected: false }],
                uncut: vec![],
            },
        },
    };
    let bytes = write_line(&line);
    insta::assert_snapshot!(std::str::from_utf8(&bytes).unwrap().trim_end(), @r#"{"at":5,"event":{"kind":"fault-proof","fault":"cut-leader","pod":"c-abcde-0","proof":{"measured":"partition-felt","droppedPackets":17,"cut":[{"peer":"10.244.0.4:2380","connected":false}],"uncut":[]}}}"#);
    assert_eq!(read_lines::<EventLine>("events.jsonl", &bytes).unwrap().lines, vec![line]);
}
