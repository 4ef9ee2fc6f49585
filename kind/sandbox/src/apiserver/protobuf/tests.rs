//! Bodies as Go's clients make them.

use super::*;

fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    [&[field << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
}

fn body(version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let type_meta = [bytes(1, version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [MAGIC, &bytes(1, &type_meta), &bytes(2, object), &bytes(3, b""), &bytes(4, b"")].concat()
}

#[test]
fn an_object_is_read_with_its_maps_bytes_and_without_what_says_nothing() {
    let entry = [bytes(1, b"key"), bytes(2, b"\x00\xff")].concat();
    let metadata = [bytes(1, b"a"), bytes(2, b""), number(7, 0), bytes(8, b"")].concat();
    let secret = [bytes(1, &metadata), bytes(2, &entry), bytes(3, b"Opaque")].concat();
    let expected = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"key": "AP8="}, "type": "Opaque",
    });
    assert_eq!(decode(&body("v1", "Secret", &secret)).unwrap(), expected);
}

#[test]
fn members_of_an_embedded_message_stand_in_the_outer_object_and_a_zero_that_says_something_is_kept() {
    let volume = [bytes(1, b"data"), bytes(2, &bytes(2, b""))].concat();
    let template = bytes(2, &bytes(1, &volume));
    let spec = [number(1, 0), bytes(3, &template)].concat();
    let read = decode(&body("apps/v1", "StatefulSet", &bytes(2, &spec))).unwrap();
    assert_eq!(read["spec"]["replicas"], 0);
    assert_eq!(read["spec"]["template"]["spec"]["volumes"], json!([{"name": "data", "emptyDir": {}}]));
}

#[test]
fn times_quantities_and_numbers_or_texts_have_their_json_form() {
    let time = [number(1, 60), number(2, 5)].concat();
    let lease = bytes(2, &[bytes(1, b"me"), bytes(3, &time)].concat());
    let read = decode(&body("coordination.k8s.io/v1", "Lease", &lease)).unwrap();
    assert_eq!(read["spec"]["acquireTime"], "1970-01-01T00:01:00.000000Z");
    let most = [number(1, 1), bytes(3, b"50%")].concat();
    let budget = bytes(2, &bytes(1, &most));
    assert_eq!(
        decode(&body("policy/v1", "PodDisruptionBudget", &budget)).unwrap()["spec"]["minAvailable"],
        "50%"
    );
}

#[test]
fn what_is_cut_or_unknown_is_refused_with_a_reason() {
    assert!(decode(b"{}").unwrap_err().contains("does not begin"));
    assert!(decode(&body("v1", "Nonsense", b"")).unwrap_err().contains("no kind \"Nonsense\""));
    assert!(decode(&body("v1", "Pod", &[0x0a, 0x7f])).unwrap_err().contains("in the middle"));
}

#[test]
fn every_message_that_the_table_names_is_in_the_table() {
    for (owner, word) in table::words() {
        let kind = word.rsplit(':').next().unwrap().trim_end_matches("[]").trim_end_matches("{}");
        assert!(!kind.contains('/') || message(kind).is_some(), "{owner} names {kind}");
        assert!(word.contains('='), "{owner}: {word}");
    }
    assert!(message("core/Pod").is_some_and(|pod| pod.len() == 3));
}
