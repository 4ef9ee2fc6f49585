//! The objects of a member that does not exist yet, in the order in which they are made: what its data is on comes first, with its
//! record. Never decides which member comes.

use super::{Action, Context, Object};
use crate::api::StorageMedium;
use crate::cluster::render;
use crate::cluster::target::Target;
use crate::cluster::world::{Origin, VolumeRequest};
use crate::names::{MemberName, Role};

/// A member to be.
pub(super) struct Creation<'m> {
    pub(super) member: &'m MemberName,
    pub(super) origin: Origin,
    pub(super) target: &'m Target,
    pub(super) volume: &'m VolumeRequest,
    pub(super) role: Role,
}

impl Creation<'_> {
    /// Makes its claim and its StatefulSet; or its StatefulSet alone, which then bears the record, if its data will be in memory.
    pub(super) fn actions(&self, context: &Context<'_>) -> Vec<Action> {
        let (cluster, target, volume) = (&context.world.cluster, self.target, self.volume);
        let stateful_set =
            |memory| render::stateful_set(&context.rendering(target, memory), self.member, self.role);
        let objects = match volume.medium {
            StorageMedium::Disk => {
                let claim = render::claim(cluster, self.member, &self.origin, target, volume);
                vec![Object::Claim(claim), Object::StatefulSet(stateful_set(None))]
            }
            StorageMedium::Memory => {
                let bare = stateful_set(Some(volume.size.as_str()));
                let recorded = render::with_record(bare, cluster, &self.origin, target, volume);
                vec![Object::StatefulSet(recorded)]
            }
        };
        objects.into_iter().map(|object| Action::Create(Box::new(object))).collect()
    }
}
