//! The hashes that Kubernetes puts into the names and labels of revisions: FNV over the template, written with letters
//! that form no words. Pure.

use serde::Serialize;

const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

/// The letters of Kubernetes' `SafeEncodeString`: no vowels and no digits that look like them.
const SAFE_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The hash of a template, as it stands in `pod-template-hash` and in a ControllerRevision's name. The collision count
/// changes it when a name is already taken by something else.
pub(crate) fn template_hash<T: Serialize>(template: &T, collision_count: Option<i32>) -> String {
    let mut bytes = serde_json::to_vec(template).expect("API types have string keys only, so they serialise");
    if let Some(count) = collision_count.filter(|count| *count > 0) {
        bytes.extend_from_slice(count.to_string().as_bytes());
    }
    safe_encode(&fnv_1(&bytes).to_string())
}

/// The hash of a ControllerRevision's data, which is the real one: Kubernetes takes it over the data as JSON, where Go writes
/// some letters in another way, and then over the number of collisions.
pub(crate) fn revision_hash(data: &serde_json::Value, collision_count: i32) -> String {
    let json = data.to_string().replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    safe_encode(&fnv_1(format!("{json}{collision_count}").as_bytes()).to_string())
}

fn fnv_1(bytes: &[u8]) -> u32 {
    bytes.iter().fold(FNV_OFFSET, |hash, byte| hash.wrapping_mul(FNV_PRIME) ^ u32::from(*byte))
}

fn safe_encode(text: &str) -> String {
    text.bytes().map(|byte| char::from(SAFE_LETTERS[usize::from(byte) % SAFE_LETTERS.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_fnv_1() {
        // Test vectors of the FNV reference code.
        assert_eq!(fnv_1(b""), 0x811c_9dc5);
        assert_eq!(fnv_1(b"a"), 0x050c_5d7e);
        assert_eq!(fnv_1(b"foobar"), 0x31f0_b262);
    }

    #[test]
    fn digits_become_safe_letters_one_by_one() {
        assert_eq!(safe_encode("0123456789").len(), 10);
        assert_eq!(safe_encode("0"), char::from(SAFE_LETTERS[48 % 27]).to_string());
    }

    #[test]
    fn a_collision_count_changes_the_hash() {
        assert_eq!(template_hash(&"t", None), template_hash(&"t", Some(0)));
        assert_ne!(template_hash(&"t", None), template_hash(&"t", Some(1)));
    }
}
