//! Somebody else adds something to an object of the cluster. Over once it happened; proved by the addition being seen, and
//! taken away again by somebody who is not the harness.

use anyhow::Result;
use futures::future::join_all;

use super::case::{Case, Victims};
use super::corrupt::{change_all, prove_repaired};
use super::objects::addition;
use crate::scenario::ClusterObject;

pub(super) async fn carry_out(case: &Case<'_>, victims: &Victims, object: ClusterObject) -> Result<()> {
    let changed = change_all(case, victims, object, addition).await?;
    case.injected();
    case.healed();
    join_all(changed.iter().map(|changed| prove_repaired(case, changed))).await;
    Ok(())
}
