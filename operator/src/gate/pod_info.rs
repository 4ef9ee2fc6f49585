//! What the downward API says of the pod: a file of annotations and one with the UID. Parsing only; an annotation that
//! can't be read is told from one that is absent.

use anyhow::Context as _;
use etcd_operator_core::gate::PermitReading;
use etcd_operator_core::names::{ANNOTATION_FENCE_EPOCH, ANNOTATION_PERMIT};
use std::collections::BTreeMap;
use std::path::Path;

/// Reads the pod's annotations.
pub(super) fn annotations(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read the pod's annotations from {}", path.display()))?;
    Ok(parse(&text))
}

/// Reads the pod's UID.
pub(super) fn uid(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read the pod's UID from {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// The permit among the annotations.
pub(super) fn permit(annotations: &BTreeMap<String, String>) -> PermitReading {
    match annotations.get(ANNOTATION_PERMIT) {
        None => PermitReading::Absent,
        Some(text) => match serde_json::from_str(text) {
            Ok(permit) => PermitReading::Given(permit),
            Err(error) => PermitReading::Malformed(error.to_string()),
        },
    }
}

/// The fence epoch among the annotations. One that is no number fences for certain.
pub(super) fn fence_epoch(annotations: &BTreeMap<String, String>) -> u64 {
    annotations.get(ANNOTATION_FENCE_EPOCH).map_or(0, |text| text.trim().parse().unwrap_or(u64::MAX))
}

/// The downward API's format: a line for each annotation, `key="value"`, the value quoted as Go's `%q` does
/// (`k8s.io/kubernetes/pkg/fieldpath`, FormatMap). A line that is not of this form is left out.
fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| {
            let (key, quoted) = line.split_once('=')?;
            Some((key.to_owned(), unquote(quoted)?))
        })
        .collect()
}

/// Undoes Go's `strconv.Quote`.
fn unquote(quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match rest.next()? {
            'a' => bytes.push(0x07),
            'b' => bytes.push(0x08),
            'f' => bytes.push(0x0c),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(0x0b),
            'x' => bytes.push(u8::try_from(hexadecimal(&mut rest, 2)?).ok()?),
            'u' => push_character(&mut bytes, hexadecimal(&mut rest, 4)?)?,
            'U' => push_character(&mut bytes, hexadecimal(&mut rest, 8)?)?,
            plain @ ('\\' | '"' | '\'') => bytes.push(plain as u8),
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

fn hexadecimal(characters: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    let text: String = characters.take(digits).collect();
    if text.len() == digits { u32::from_str_radix(&text, 16).ok() } else { None }
}

fn push_character(bytes: &mut Vec<u8>, code: u32) -> Option<()> {
    bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_come_back_as_they_were_set() {
        let text = "kubernetes.io/config.source=\"api\"\na/permit=\"{\\\"format\\\":1,\\\"name\\\":\\\"\\u00fc\\\\n\\\"}\"\nlines=\"a\\nb\"\nnot a line\n";
        let annotations = parse(text);
        assert_eq!(annotations["kubernetes.io/config.source"], "api");
        assert_eq!(annotations["a/permit"], "{\"format\":1,\"name\":\"ü\\n\"}");
        assert_eq!(annotations["lines"], "a\nb");
        assert_eq!(annotations.len(), 3);
    }

    #[test]
    fn a_cut_value_is_left_out_and_not_guessed() {
        assert_eq!(parse("key=\"val"), BTreeMap::new());
        assert_eq!(parse("key=\"\\x4\""), BTreeMap::new());
    }

    #[test]
    fn a_fence_epoch_that_is_no_number_fences() {
        let annotations = BTreeMap::from([(ANNOTATION_FENCE_EPOCH.to_owned(), "soon".to_owned())]);
        assert_eq!(fence_epoch(&annotations), u64::MAX);
        assert_eq!(fence_epoch(&BTreeMap::new()), 0);
    }

    #[test]
    fn a_permit_that_is_no_permit_is_told_from_none() {
        let annotations = BTreeMap::from([(ANNOTATION_PERMIT.to_owned(), "{}".to_owned())]);
        assert!(matches!(permit(&annotations), PermitReading::Malformed(_)));
        assert_eq!(permit(&BTreeMap::new()), PermitReading::Absent);
    }
}
