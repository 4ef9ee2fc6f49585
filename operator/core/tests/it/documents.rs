//! The pages for users, as far as they say what the types say: reasons and their explanations, and specs to copy.

use std::fs;
use std::path::{Path, PathBuf};

use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::api::condition::ConditionReason;
use etcd_operator_core::backup::reasons::BackupReason;
use etcd_operator_core::cluster::desired::Desired;
use etcd_operator_core::cluster::plan::HoldReason;
use etcd_operator_core::explained::{EndedBy, table};

use super::check_golden;
use super::model::Model;

/// A file or folder of the operator's folder.
pub(super) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// The text with what is between the two comments of this name replaced.
pub(super) fn with_block(text: &str, name: &str, block: &str) -> String {
    let begin = format!("<!-- generated: {name} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("the page lacks {begin}"));
    let end = "<!-- end -->";
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("{begin} is not ended by {end}"));
    format!("{before}{begin}{block}{end}{after}")
}

#[test]
fn the_page_of_reasons_is_what_the_types_explain() {
    let path = folder("docs").join("reasons.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let holds = |ended_by| table(HoldReason::ALL.iter().map(|reason| reason.explanation()), ended_by);
    let conditions =
        |ended_by| table(ConditionReason::ALL.iter().map(|reason| reason.explanation()), ended_by);
    let backups = |ended_by| table(BackupReason::ALL.iter().map(|reason| reason.explanation()), ended_by);
    let mut expected = page;
    for (name, block) in [
        ("backups that want a person", backups(EndedBy::Person)),
        ("backups that go on by themselves", backups(EndedBy::Itself)),
        ("backups that are as they should be", backups(EndedBy::Nobody)),
        ("holds that want a person", holds(EndedBy::Person)),
        ("holds that end by themselves", holds(EndedBy::Itself)),
        ("notices", holds(EndedBy::Nobody)),
        ("conditions that want a person", conditions(EndedBy::Person)),
        ("conditions that end by themselves", conditions(EndedBy::Itself)),
        ("conditions that all is well", conditions(EndedBy::Nobody)),
    ] {
        expected = with_block(&expected, name, &block);
    }
    check_golden(&path, &expected);
}

/// Every block of YAML in a page, with the line it begins in.
fn yaml_blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match &mut open {
            None if line == "```yaml" => open = Some((number + 2, String::new())),
            None => {}
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    blocks
}

#[test]
fn every_cluster_in_the_pages_for_users_can_be_carried_out() {
    let docs = fs::read_dir(folder("docs")).expect("the folder is there");
    let mut pages: Vec<PathBuf> = docs.map(|entry| entry.expect("readable").path()).collect();
    pages.extend(["API.md", "README.md", "../README.md"].map(folder));
    let mut clusters = 0;
    for path in pages.iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let page = fs::read_to_string(path).expect("readable");
        for (line, text) in
            yaml_blocks(&page).into_iter().filter(|(_, text)| text.contains("kind: EtcdCluster"))
        {
            let place = format!("{}:{line}", path.display());
            let cluster: EtcdCluster =
                serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
            let written: serde_json::Value = serde_saphyr::from_str(&text).expect("it was read before");
            is_known(&place, &written, &serde_json::to_value(&cluster).expect("plain data"));
            let mut model = Model::new(cluster.spec);
            model.cluster.metadata.name = cluster.metadata.name;
            if let Err(refused) = kube::core::cel::validate_cel(&model.cluster) {
                panic!("{place}: {refused}");
            }
            if let Err(invalid) = Desired::parse(&model.cluster) {
                panic!("{place}: {invalid}");
            }
            clusters += 1;
        }
    }
    assert!(clusters >= 4, "only {clusters} clusters were found in the pages");
}

/// Whether nothing was written that was not also read: a misspelt field would be ignored.
fn is_known(place: &str, written: &serde_json::Value, read: &serde_json::Value) {
    let Some(fields) = written.as_object() else { return };
    for (field, value) in fields {
        let known = read.get(field).unwrap_or_else(|| panic!("{place}: {field} is no field"));
        is_known(place, value, known);
    }
}
