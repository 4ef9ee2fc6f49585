//! `report.html`: one file that needs nothing else. Pure.

use crate::checker::{Judgement, Timeline};
use crate::record::RunRecord;

/// The page.
pub(super) fn page(_record: &RunRecord, judgement: &Judgement, _timeline: &Timeline<'_>) -> String {
    format!("<!DOCTYPE html><title>{}</title>", judgement.verdict)
}
